import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Refusal } from "../src/answer.js";
import { challengeHeader } from "../src/challenge.js";
import { inspect } from "../src/inspect.js";
import { checkJSON, JSONProblem, skipSpace, skipValue } from "../src/json/scan.js";
import { callBody, listBody } from "./world.js";

const head = '{"jsonrpc":"2.0","id":1,';
const call = head + '"method":"tools/call",';

function many(n: number): string {
  return Array.from({ length: n }, (_, i) => `"k${i}":${i}`).join(",");
}

/** Bodies that some JSON parser or MCP server would read as a call of delete_data. */
const smuggled: Record<string, string | Buffer> = {
  "method twice": head + '"method":"tools/list","method":"tools/call","params":{"name":"delete_data"}}',
  "method twice, one escaped": head + '"method":"ping","meth\\u006fd":"tools/call","params":{"name":"delete_data"}}',
  "method in capitals too": head + '"method":"ping","METHOD":"tools/call","params":{"name":"delete_data"}}',
  "method in capitals only": head + '"Method":"tools/call","params":{"name":"delete_data"}}',
  "params twice": call + '"params":{"name":"read_data"},"params":{"name":"delete_data"}}',
  "params in capitals too": call + '"params":{"name":"read_data"},"Params":{"name":"delete_data"}}',
  "params with a long s": call + '"param\\u017f":{"name":"delete_data"},"params":{"name":"read_data"}}',
  "name twice": call + '"params":{"name":"read_data","name":"delete_data"}}',
  "name twice, one escaped": call + '"params":{"name":"read_data","n\\u0061me":"delete_data"}}',
  "name in capitals too": call + '"params":{"name":"read_data","Name":"delete_data"}}',
  "name in capitals only": call + '"params":{"NAME":"delete_data"}}',
  "uri in capitals": head + '"method":"resources/subscribe","params":{"URI":"acme://x"}}',
  "duplicate in arguments": call + '"params":{"name":"read_data","arguments":{"id":1,"id":2}}}',
  "duplicate deep down": head + '"method":"ping","params":{"a":[{"b":{"c":1,"c":2}}]}}',
  "duplicate among many": head + `"method":"ping","params":{${many(100)},"k7":1}}`,
  "two values": head + '"method":"ping"}' + callBody(1, "delete_data"),
  "two values on two lines": head + '"method":"ping"}\n' + callBody(1, "delete_data"),
  "garbage behind": head + '"method":"ping"}x',
  "NUL behind": head + '"method":"ping"}\x00',
  "byte order mark": "\ufeff" + callBody(1, "delete_data"),
  comment: head + '/*"method":"ping",*/"method":"tools/call","params":{"name":"delete_data"}}',
  "trailing comma": head + '"method":"ping",}',
  "single quotes": "{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'delete_data'}}",
  NaN: head + '"method":"ping","params":{"x":NaN}}',
  "leading zero": head + '"method":"ping","params":{"x":01}}',
  "plus sign": head + '"method":"ping","params":{"x":+1}}',
  "bare dot": head + '"method":"ping","params":{"x":1.}}',
  "raw control character": head + '"method":"ping","params":{"x":"a\nb"}}',
  "raw NUL": head + '"method":"ping\x00"}',
  "unknown escape": head + '"method":"pin\\g"}',
  "short escape": head + '"method":"ping","params":{"x":"\\u12"}}',
  "invalid UTF-8": Buffer.from(head + '"method":"ping","params":{"x":"\xff"}}', "latin1"),
  "overlong UTF-8": Buffer.from(head + '"method":"tools\xc0\xafcall","params":{"name":"delete_data"}}', "latin1"),
  "surrogate in UTF-8": Buffer.from(head + '"method":"ping","params":{"x":"\xed\xa0\x80"}}', "latin1"),
  "lone surrogate in a key": head + '"method":"ping","params":{"\\ud800":1}}',
  "lone surrogate in a name": call + '"params":{"name":"delete_data\\udfff"}}',
  "lone surrogate in a method": head + '"method":"tools/call\\ud800","params":{"name":"delete_data"}}',
  "deep arrays": head + `"method":"ping","params":{"x":${"[".repeat(200)}1${"]".repeat(200)}}}`,
  "deep objects": head + `"method":"ping","params":{"x":${'{"a":'.repeat(200)}1${"}".repeat(200)}}}`,
  "very deep": "[".repeat(2 ** 20),
  unclosed: head + '"method":"ping"',
  "unclosed string": head + '"method":"ping',
  "empty object": "{}",
  "a string": '"tools/call"',
  "a number": "1",
  null: "null",
  nothing: "",
  "no version": '{"id":1,"method":"tools/call","params":{"name":"delete_data"}}',
  "version 1": '{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"delete_data"}}',
  "version as a number": '{"jsonrpc":2.0,"id":1,"method":"tools/call","params":{"name":"delete_data"}}',
  "version in capitals": '{"JSONRPC":"2.0","id":1,"method":"tools/call","params":{"name":"delete_data"}}',
  "method is a list": head + '"method":["tools/call"],"params":{"name":"delete_data"}}',
  "method is null": head + '"method":null,"params":{"name":"delete_data"}}',
  "method is empty": head + '"method":"","params":{"name":"delete_data"}}',
  "method with space": head + '"method":" tools/call","params":{"name":"delete_data"}}',
  "method with capitals": head + '"method":"Tools/Call","params":{"name":"delete_data"}}',
  "method with slash": head + '"method":"tools/call/","params":{"name":"delete_data"}}',
  "prompt with capitals": head + '"method":"Prompts/Get","params":{"name":"x"}}',
  "list with capitals": head + '"method":"TOOLS/LIST"}',
  "method with NUL": head + '"method":"tools/call\\u0000","params":{"name":"delete_data"}}',
  "method is endless": head + `"method":"${"a".repeat(200)}"}`,
  "params are a list": call + '"params":["delete_data"]}',
  "params are a list, ping": head + '"method":"ping","params":[1]}',
  "params are a text": call + '"params":"delete_data"}',
  "params are null": call + '"params":null}',
  "no params": head + '"method":"tools/call"}',
  "no name": call + '"params":{"arguments":{}}}',
  "name is empty": call + '"params":{"name":""}}',
  "name is a list": call + '"params":{"name":["delete_data"]}}',
  "name is null": call + '"params":{"name":null}}',
  "id is an object": '{"jsonrpc":"2.0","id":{},"method":"ping"}',
  "id is a list": '{"jsonrpc":"2.0","id":[1],"method":"ping"}',
  "id is true": '{"jsonrpc":"2.0","id":true,"method":"ping"}',
  "request and response": call + '"params":{"name":"delete_data"},"result":{}}',
  "request and error": call + '"params":{"name":"delete_data"},"error":{}}',
  "response with params": head + '"result":{},"params":{"name":"delete_data"}}',
  "result and error": head + '"result":{},"error":{}}',
  "response without id": '{"jsonrpc":"2.0","result":{}}',
  "only an id": '{"jsonrpc":"2.0","id":1}',
  "empty batch": "[]",
  "batch in a batch": `[[${callBody(1, "delete_data")}]]`,
  "batch with a text": `[${callBody(1, "read_data")},"x"]`,
  "batch with null": "[null]",
  "batch with a bad one": `[${callBody(1, "read_data")},{"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"delete_data"}}]`,
  "batch beyond the limit": `[${Array.from({ length: 101 }, () => callBody(1, "read_data")).join(",")}]`,
  "completion of nothing known":
    head + '"method":"completion/complete","params":{"ref":{"type":"ref/odd","name":"x"}}}',
  "completion, ref in capitals":
    head + '"method":"completion/complete","params":{"Ref":{"type":"ref/prompt","name":"x"}}}',
  "subscriptions are a text":
    head + '"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":"a"}}}',
  "subscription to a number":
    head + '"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":[1]}}}',
};

describe("bodies that two parsers could read differently are refused", () => {
  for (const [name, body] of Object.entries(smuggled)) {
    test(name, () => {
      assert.throws(
        () => inspect(Buffer.from(body)),
        (e) => e instanceof Refusal && e.status === 400 && e.code !== 0 && e.message !== "",
      );
    });
  }
});

describe("what clients send is read", () => {
  const tool = (name: string): object[] => [{ kind: "tool", name }];
  const content = (name: string): object => ({ kind: "content", name });
  const cases: Record<string, [string, object]> = {
    call: [
      callBody(3, "read_data"),
      { kind: "request", method: "tools/call", name: "read_data", targets: tool("read_data"), id: "3" },
    ],
    "escaped name": [
      '{"jsonrpc":"2.0","id":"a","method":"tools\\/call","params":{"name":"r\\u0065ad_data"}}',
      { kind: "request", method: "tools/call", name: "read_data", targets: tool("read_data"), id: '"a"' },
    ],
    "emoji name": [
      '{"jsonrpc":"2.0","id":-1.5e3,"method":"tools/call","params":{"name":"\\ud83d\\ude00"}}',
      { kind: "request", method: "tools/call", name: "😀", targets: tool("😀"), id: "-1.5e3" },
    ],
    "an id that numbers cannot hold": [
      '{"jsonrpc":"2.0","id":12345678901234567890,"method":"ping"}',
      { kind: "request", method: "ping", name: undefined, targets: [], id: "12345678901234567890" },
    ],
    "name comes last": [
      '{"params":{"arguments":{"name":"x","deep":[{"name":"y"}]},"name":"read_data"},"method":"tools/call","id":1,"jsonrpc":"2.0"}',
      { kind: "request", method: "tools/call", name: "read_data", targets: tool("read_data"), id: "1" },
    ],
    "white space": [
      ' \r\n\t{ "jsonrpc" : "2.0" , "id" : 1 , "method" : "tools/list" } \n',
      { kind: "request", method: "tools/list", name: undefined, targets: [], id: "1" },
    ],
    "null id": [
      '{"jsonrpc":"2.0","id":null,"method":"ping"}',
      { kind: "request", method: "ping", name: undefined, targets: [], id: "null" },
    ],
    notification: [
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      { kind: "notification", method: "notifications/initialized", name: undefined, targets: [], id: undefined },
    ],
    response: [
      '{"jsonrpc":"2.0","id":9,"result":null}',
      { kind: "reply", method: "", name: undefined, targets: [], id: "9" },
    ],
    "null error": [
      '{"jsonrpc":"2.0","id":9,"result":{},"error":null}',
      { kind: "reply", method: "", name: undefined, targets: [], id: "9" },
    ],
    "extra members": [
      '{"jsonrpc":"2.0","id":1,"method":"ping","x-trace":{"a":1,"A":2}}',
      { kind: "request", method: "ping", name: undefined, targets: [], id: "1" },
    ],
    "lone surrogate in an argument": [
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":"\\ud800"}}}',
      { kind: "request", method: "tools/call", name: "a", targets: tool("a"), id: "1" },
    ],
    subscription: [
      '{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a://b"}}',
      { kind: "request", method: "resources/subscribe", name: undefined, targets: [content("a://b")], id: "1" },
    ],
    "several subscriptions": [
      '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["a://b","c://d"]}}}',
      {
        kind: "request",
        method: "subscriptions/listen",
        name: undefined,
        targets: [content("a://b"), content("c://d")],
        id: "1",
      },
    ],
    completion: [
      '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"}}}',
      {
        kind: "request",
        method: "completion/complete",
        name: undefined,
        targets: [{ kind: "prompt", name: "p" }],
        id: "1",
      },
    ],
  };
  for (const [name, [body, want]] of Object.entries(cases)) {
    test(name, () => {
      const { messages, batch } = inspect(Buffer.from(body));
      assert.equal(batch, false);
      assert.deepEqual(
        messages.map(({ params: _, ...m }) => m),
        [want],
      );
    });
  }
});

test("many keys stay linear", () => {
  checkJSON(`{${many(300_000)}}`, 10); // comparing every key with every other would take minutes
});

/** Random numbers that are the same every time. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Changes a text at random places, with pieces of JSON and with characters that matter in it. */
function mutated(text: string, pick: (below: number) => number, pool: readonly string[]): string {
  const pieces = [
    ...Array.from('{}[]":,\\ \n\t0-1.eE+u'),
    "\\u",
    "\\ud83d",
    "\\udfff",
    "null",
    "true",
    '"a":',
    '"a"',
    "\x00",
    "é",
    "😀",
    "name",
    "method",
  ];
  for (let n = 1 + pick(4); n > 0; n--) {
    const at = pick(text.length + 1);
    const cut = pick(3) === 0 ? pick(6) : 0;
    const other = pool[pick(pool.length)] ?? "";
    const from = pick(other.length + 1);
    const insert = pick(3) === 0 ? other.slice(from, from + pick(30)) : (pieces[pick(pieces.length)] ?? "");
    text = text.slice(0, at) + insert + text.slice(at + cut);
  }
  return text;
}

const seeds = [
  callBody(1, "read_data"),
  listBody,
  `[${callBody(1, "read_data")},${listBody}]`,
  '{"jsonrpc":"2.0","id":9,"result":{"a":"\\ud83d\\ude00"}}',
  '{"a":[1,2.5e-3,true,null,"x\\u00e9"],"b":{}}',
  "[]",
  '"\\ud83d\\ude00"',
  "-0",
  " 1 ",
  `{${many(20)}}`,
  ...Object.values(smuggled)
    .filter((body) => typeof body === "string" && body.length < 4096)
    .map(String),
];
const rounds = Number(process.env["OSTIARY_FUZZ_ROUNDS"] ?? 60_000);

test("the scanner accepts what JSON.parse reads in one way, and nothing else", () => {
  const pick = random(Number(process.env["OSTIARY_FUZZ_SEED"] ?? 1));
  let accepted = 0;
  let duplicates = 0;
  for (let round = 0; round < rounds; round++) {
    const text = mutated(seeds[pick(seeds.length)] ?? "", pick, seeds).toWellFormed();
    let problem: unknown;
    try {
      checkJSON(text, 100);
    } catch (e) {
      assert.ok(e instanceof JSONProblem, String(e));
      problem = e;
    }
    let parsed: unknown;
    let isJSON = true;
    try {
      parsed = JSON.parse(text);
    } catch {
      isJSON = false;
    }
    if (problem === undefined) {
      accepted++;
      assert.ok(isJSON, `accepted ${JSON.stringify(text)}`);
      // Nothing was lost on the way: no key was there twice.
      assert.equal(keysIn(text), countKeys(parsed), text);
      const at = skipSpace(text, 0);
      assert.equal(text.slice(skipValue(text, at)).trim(), "", text); // the walkers must not leave the value
    } else if ((problem as Error).message === "the body is not valid JSON") {
      assert.ok(!isJSON, `refused ${JSON.stringify(text)}`);
    } else if (isJSON && (problem as Error).message === "the body repeats a key within an object") {
      duplicates++;
      assert.notEqual(keysIn(text), countKeys(parsed), text);
    }
  }
  assert.ok(accepted > rounds / 50 && duplicates > 0, `${accepted} accepted, ${duplicates} with duplicates`);
});

/** Counts the keys of a valid JSON text: strings that a colon follows. */
function keysIn(text: string): number {
  return [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter((m) => m[1] !== undefined).length;
}

function countKeys(value: unknown): number {
  if (typeof value !== "object" || value === null) {
    return 0;
  }
  const values: unknown[] = Object.values(value);
  return (Array.isArray(value) ? 0 : values.length) + values.reduce<number>((sum, v) => sum + countKeys(v), 0);
}

test("what the inspection accepts means the same to JSON.parse", () => {
  const pick = random(Number(process.env["OSTIARY_FUZZ_SEED"] ?? 2));
  let accepted = 0;
  for (let round = 0; round < rounds; round++) {
    const text = mutated(seeds[pick(seeds.length)] ?? "", pick, seeds).toWellFormed();
    let body;
    try {
      body = inspect(Buffer.from(text));
    } catch (e) {
      assert.ok(e instanceof Refusal, String(e));
      continue;
    }
    accepted++;
    const parsed: unknown = JSON.parse(text);
    const all = (Array.isArray(parsed) ? parsed : [parsed]) as { method?: string; params?: { name?: string } }[];
    assert.equal(all.length, body.messages.length, text);
    body.messages.forEach((m, i) => {
      assert.equal(all[i]?.method ?? "", m.method, text);
      if (m.method === "tools/call") {
        assert.deepEqual(m.targets, [{ kind: "tool", name: all[i]?.params?.name }], text);
      }
    });
  }
  assert.ok(accepted > rounds / 200, `only ${accepted} accepted`);
});

test("a challenge cannot be broken out of", () => {
  const got = challengeHeader({
    error: "insufficient_scope",
    metadataURL: 'https://a.example/x", realm="y',
    description: 'tool "x\\\r\nSet-Cookie: a=b\r\n\x7f ünicode 😀 ' + "long ".repeat(100),
    scopes: ["data:read", 'bad"scope', "two words", "", "läng", "data:write", "s".repeat(200)],
  });
  assert.ok(
    got.startsWith(
      `Bearer error="insufficient_scope", scope="data:read data:write ${"s".repeat(200)}", ` +
        'resource_metadata="https://a.example/x?, realm=?y", error_description="tool ?x???Set-Cookie',
    ),
    got,
  );
  assert.match(got, /^[ -~]+$/);
  assert.ok(got.length < 900);
});

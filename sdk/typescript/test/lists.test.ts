import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { EventFilter } from "../src/events.js";
import { filterText } from "../src/listFilter.js";
import type { Target } from "../src/policy/judge.js";
import { testDocument } from "./issuer.js";
import { callBody, errorOf, eventually, frameworks, listBody, World } from "./world.js";

const keeps = (target: Target): boolean => target.name === "read_data";

const allTools =
  '[{"name":"read_data","inputSchema":{"type":"object","x":1.50}}, {"name":"write_data"},{"inputSchema":{},"name":"delete_data"},' +
  '{"name":"merge_data"},{"name":"unmapped"},{"name":"never_heard_of"},{"title":"nameless"},"odd",null]';

function toolsOf(raw: string): string[] {
  return (JSON.parse(raw) as { result: { tools: { name: string }[] } }).result.tools.map((tool) => tool.name);
}

test("a list keeps what is left byte for byte", () => {
  const cases: Record<string, [string, string]> = {
    "kept tools are untouched": [
      ' {"id":1e0 , "result": { "tools" : [ {"name":"r\\u0065ad_data","n":1.50} ,{"name":"write_data"}, {"name":"read_data","z":"\\/"} ], "x":1.0}} ',
      ' {"id":1e0 , "result": { "tools" : [{"name":"r\\u0065ad_data","n":1.50},{"name":"read_data","z":"\\/"}], "x":1.0}} ',
    ],
    "public becomes private": [
      '{"result":{"cacheScope":"public","tools":[],"ttlMs":5}}',
      '{"result":{"cacheScope":"private","tools":[],"ttlMs":5}}',
    ],
    "silence becomes private": [
      '{"result":{"tools":[],"ttlMs":5}}',
      '{"result":{"cacheScope":"private","tools":[],"ttlMs":5}}',
    ],
    "not cacheable stays so": ['{"result":{"tools":[]}}', '{"result":{"tools":[]}}'],
    "other results": [
      '{"result":{"content":[{"name":"write_data"}],"cacheScope":"public"}}',
      '{"result":{"content":[{"name":"write_data"}],"cacheScope":"public"}}',
    ],
    errors: [
      '{"error":{"code":1,"data":{"tools":[{"name":"write_data"}]}}}',
      '{"error":{"code":1,"data":{"tools":[{"name":"write_data"}]}}}',
    ],
    "tools that are no list": [
      '{"result":{"tools":{"name":"write_data"}}}',
      '{"result":{"tools":{"name":"write_data"}}}',
    ],
    batch: [
      '[{"result":{"tools":[{"name":"write_data"}]}},{"result":{}},{"result":{"tools":[{"name":"read_data"}]}}]',
      '[{"result":{"tools":[]}},{"result":{}},{"result":{"tools":[{"name":"read_data"}]}}]',
    ],
    "escaped keys": [
      '{"r\\u0065sult":{"t\\u006fols":[{"n\\u0061me":"write_data"}]}}',
      '{"r\\u0065sult":{"t\\u006fols":[]}}',
    ],
    "a name that is no text": ['{"result":{"tools":[{"name":1},{"name":null}]}}', '{"result":{"tools":[]}}'],
    prompts: [
      '{"result":{"prompts":[{"name":"p"},{"name":"read_data"}]}}',
      '{"result":{"prompts":[{"name":"read_data"}]}}',
    ],
    resources: [
      '{"result":{"resources":[{"uri":"read_data","name":"x"},{"uri":"a://b"}]}}',
      '{"result":{"resources":[{"uri":"read_data","name":"x"}]}}',
    ],
    templates: ['{"result":{"resourceTemplates":[{"uriTemplate":"a://{b}"}]}}', '{"result":{"resourceTemplates":[]}}'],
  };
  for (const [name, [given, want]] of Object.entries(cases)) {
    assert.equal(filterText(given, keeps), want, name);
    assert.equal(filterText(want, keeps), want, name); // nothing left to take out
  }
});

/** A list of tools among other events, in every form that the specification of server-sent events allows. */
function stream(end: string): [string, string] {
  const lines = (...parts: string[]): string => parts.join(end) + end + end;
  const before =
    ": hello" +
    end +
    end +
    lines("event: message", 'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"tools":"x"}}') +
    lines("id: 7", "retry: 5", "data:") +
    ":" +
    end;
  const after =
    lines("", 'data: {"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"tools é"}]}}') + ": bye" + end;
  const full =
    '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"write_data"},{"name":"read_data"},{"name":"delete_data"}]}}';
  const left = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_data"}]}}';
  const cut = (full.slice(0, 42) + "\n" + full.slice(42))
    .replace('{"name":"write_data"},', "")
    .replace(',{"name":"delete_data"}', "");
  return [
    before +
      lines("event: message", "id: 8", "data: " + full) +
      lines("data:" + full.slice(0, 42), "data: " + full.slice(42), ": inside") +
      after,
    before +
      "event: message\nid: 8\ndata: " +
      left +
      "\n\n" +
      "data: " +
      cut.replaceAll("\n", "\ndata: ") +
      "\n: inside\n\n" +
      after,
  ];
}

function inPieces(bytes: Buffer, size: number): string {
  const filter = new EventFilter(keeps);
  const out: Buffer[] = [];
  for (let i = 0; i < bytes.length; i += size) {
    out.push(filter.feed(bytes.subarray(i, i + size)));
  }
  return Buffer.concat([...out, filter.end()]).toString("latin1");
}

test("in events only lists are touched, wherever they are cut", () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const [given, want] = stream(end).map((s) => Buffer.from(s)) as [Buffer, Buffer];
    for (let size = 1; size <= given.length; size += 1 + Math.floor(size / 7)) {
      assert.equal(inPieces(given, size), want.toString("latin1"), `${JSON.stringify(end)} in pieces of ${size}`);
    }
  }
});

test("untouched events keep their bytes", () => {
  const given = Buffer.from("\ufeff: hi\r\n\r\nevent: a\r\ndata: x tools\r\n\r\n\r\ndata: y\rdata: z\r\r\n\n\r");
  const broken = Buffer.concat([given, Buffer.from([0xff, 0xfe, 0x0a, 0x0a])]);
  for (let size = 1; size <= broken.length; size++) {
    assert.equal(inPieces(broken, size), broken.toString("latin1"), `in pieces of ${size}`);
  }
});

test("an unfinished event is filtered too", () => {
  for (const given of [
    'data: {"result":{"tools":[{"name":"delete_data"}]}}',
    'data: {"result":{"tools":[{"name":"delete_data"}]}}\n',
    '\ufeffdata: {"result":{"tools":[{"name":"delete_data"}]}}\n\n',
    'data\ndata:{"result":{"t\\u006fols":[{"name":"delete_data"}]}}\n\n',
  ]) {
    assert.doesNotMatch(inPieces(Buffer.from(given), 5), /delete_data/);
  }
});

test("long runs of spaces and many lines cost no more than others", () => {
  const spaces = " ".repeat(2 ** 20);
  const given = `data: {"tools":"a${spaces}b","x":${spaces}1}\n${"data: \n".repeat(50_000)}\n`;
  assert.equal(inPieces(Buffer.from(given), 2 ** 16), given);
});

test("an endless event is not collected", () => {
  const filter = new EventFilter(keeps);
  const chunk = Buffer.alloc(2 ** 20, "a");
  assert.throws(() => {
    for (let i = 0; i < 20; i++) {
      filter.feed(chunk);
    }
  }, /too large/);
});

for (const framework of frameworks) {
  describe(`lists behind ${framework}`, { concurrency: 4 }, () => {
    test("show what the token allows", async (t) => {
      const w = await World.start(t, framework);
      w.reply = () => ({
        headers: { "Content-Type": "application/json", "Cache-Control": "public", ETag: '"1"' },
        body: `{"jsonrpc":"2.0","id":1,"result":{"tools":${allTools},"nextCursor":"abc"}}`,
      });
      for (const [scopes, want] of Object.entries({
        "": [],
        "data:read": ["read_data"],
        "data:read data:write": ["read_data", "write_data", "merge_data"],
        "data:admin": ["write_data", "delete_data"],
        "data:read data:admin": ["read_data", "write_data", "delete_data", "merge_data"],
      })) {
        const a = await w.call("POST", "/mcp", { token: await w.token(scopes), body: listBody });
        assert.deepEqual(toolsOf(a.body), want, scopes);
        assert.match(a.body, /"nextCursor":"abc"/);
        assert.equal(a.headers["cache-control"], "no-store");
        assert.equal(a.headers.etag, undefined);
      }
      assert.equal(w.log.count("offers what the policy does not map"), 3);
    });

    test("are withheld when they cannot be read", async (t) => {
      const w = await World.start(t, framework);
      const json = { "Content-Type": "application/json" };
      for (const [name, headers, body] of [
        ["not JSON", json, "hello delete_data"],
        ["tools twice", json, '{"id":1,"result":{"tools":[],"tools":[{"name":"delete_data"}]}}'],
        ["another type", { "Content-Type": "text/html" }, "<p>delete_data"],
        ["compressed", { ...json, "Content-Encoding": "br" }, "delete_data"],
        [
          "compressed events",
          { "Content-Type": "text/event-stream", "Content-Encoding": "gzip" },
          "data: delete_data\n\n",
        ],
      ] as const) {
        w.reply = () => ({ headers, body });
        const a = await w.call("POST", "/mcp", {
          token: await w.token("data:read"),
          body: listBody,
          headers: ["Accept-Encoding: br"],
        });
        assert.equal(a.status, 502, name);
        assert.equal(errorOf(a).id, 1, name);
        assert.equal(w.last.headers.get("accept-encoding"), undefined, name);
      }
      w.reply = () => ({ status: 202 });
      assert.equal((await w.call("POST", "/mcp", { token: await w.token("data:read"), body: listBody })).status, 202);
      w.reply = () => ({ status: 404, body: "no tools" });
      assert.equal((await w.call("POST", "/mcp", { token: await w.token("data:read"), body: listBody })).status, 404);
    });

    test("without end are not collected, and their writer is not left writing", async (t) => {
      const w = await World.start(t, framework);
      let stopped = 0;
      w.reply = () => ({
        headers: { "Content-Type": "application/json" },
        stream: async function* (ended) {
          try {
            yield '{"jsonrpc":"2.0","id":1,"result":{"tools":[';
            for (const piece = '{"name":"read_data"},'.repeat(5_000); !ended.aborted;) {
              yield piece;
              await new Promise((resolve) => setImmediate(resolve));
            }
          } finally {
            stopped++;
          }
        },
      });
      const token = await w.token("data:read");
      const a = await w.call("POST", "/mcp", { token, body: listBody });
      assert.equal(a.status, 502);
      assert.equal(errorOf(a).code, -32012);
      await eventually("it has stopped", () => stopped === 1);
      w.reply = () => ({ body: "{}" });
      assert.equal((await w.tool(token, "read_data")).status, 200);
    });

    test("are filtered in batches", async (t) => {
      const w = await World.start(t, framework);
      w.reply = () => ({
        headers: { "Content-Type": "application/json" },
        body: `[{"jsonrpc":"2.0","id":2,"result":{"content":[]}},{"jsonrpc":"2.0","id":1,"result":{"tools":${allTools}}}]`,
      });
      const body = `[${listBody},${callBody(2, "read_data")}]`;
      const a = await w.call("POST", "/mcp", { token: await w.token("data:read"), body });
      assert.doesNotMatch(a.body, /write_data/);
      assert.match(a.body, /read_data/);
      assert.match(a.body, /"content"/);
    });

    test("are filtered in events, also those that replay what was lost", async (t) => {
      const w = await World.start(t, framework);
      const [given] = stream("\n");
      w.reply = () => ({ headers: { "Content-Type": "text/event-stream" }, body: given });
      const token = await w.token("data:read");
      for (const a of [
        await w.call("POST", "/mcp", { token, body: listBody }),
        await w.call("GET", "/mcp", { token }),
      ]) {
        assert.doesNotMatch(a.body, /delete_data/);
        assert.equal(a.body.split("read_data").length, 3);
        assert.equal(a.headers["content-type"], "text/event-stream");
        assert.equal(a.headers["x-accel-buffering"], "no");
        assert.equal(a.headers["cache-control"], "no-store, no-transform");
      }
      const other = await w.call("POST", "/mcp", { token, body: callBody(1, "read_data") });
      assert.equal(other.body, given); // streams of other calls pass as they are
    });

    test("of prompts and contents are filtered where the policy maps any", async (t) => {
      const w = await World.start(t, framework, {}, (is) => {
        is.doc.prompts = { summary: { scopes: ["data:read"], match: "all" } };
        is.doc.contents = { "acme://open/*": { scopes: ["data:read"], match: "all" } };
      });
      const token = await w.token("data:read");
      const ask = async (method: string, result: string): Promise<string> => {
        w.reply = () => ({ headers: { "Content-Type": "application/json" }, body: `{"id":1,"result":${result}}` });
        return (await w.call("POST", "/mcp", { token, body: `{"jsonrpc":"2.0","id":1,"method":"${method}"}` })).body;
      };
      assert.equal(
        await ask("prompts/list", '{"prompts":[{"name":"summary"},{"name":"secret"}]}'),
        '{"id":1,"result":{"prompts":[{"name":"summary"}]}}',
      );
      assert.equal(
        await ask("resources/list", '{"resources":[{"uri":"acme://open/1"},{"uri":"acme://x"}]}'),
        '{"id":1,"result":{"resources":[{"uri":"acme://open/1"}]}}',
      );
      assert.equal(
        await ask(
          "resources/templates/list",
          '{"resourceTemplates":[{"uriTemplate":"acme://open/{a}"},{"uriTemplate":"acme://{a}"}]}',
        ),
        '{"id":1,"result":{"resourceTemplates":[{"uriTemplate":"acme://open/{a}"}]}}',
      );
      const read = (method: string, params: string): Promise<number> =>
        w
          .call("POST", "/mcp", { token, body: `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}` })
          .then((a) => (a.body.includes("-32602") ? 404 : a.status));
      assert.equal(await read("prompts/get", '{"name":"summary"}'), 200);
      assert.equal(await read("prompts/get", '{"name":"secret"}'), 404);
      assert.equal(await read("resources/read", '{"uri":"acme://open/1"}'), 200);
      assert.equal(await read("resources/subscribe", '{"uri":"acme://x"}'), 404);
      assert.equal(await read("completion/complete", '{"ref":{"type":"ref/prompt","name":"secret"}}'), 404);
      assert.equal(
        await read("subscriptions/listen", '{"notifications":{"resourceSubscriptions":["acme://open/1","acme://x"]}}'),
        404,
      );
    });

    test("leave out what is stopped, in shadow mode too", async (t) => {
      for (const mode of ["enforce", "shadow"]) {
        const w = await World.start(t, framework, {}, (is) => {
          is.doc = { ...testDocument(), mode };
          is.feed.stops = [{ kind: "tool", value: "read_data" }];
        });
        w.reply = () => ({
          headers: { "Content-Type": "application/json" },
          body: `{"id":1,"result":{"tools":${allTools}}}`,
        });
        const a = await w.call("POST", "/mcp", { token: await w.token("data:read data:write"), body: listBody });
        assert.doesNotMatch(a.body, /read_data/);
        assert.equal(a.body.includes("delete_data"), mode === "shadow");
      }
    });
  });
}

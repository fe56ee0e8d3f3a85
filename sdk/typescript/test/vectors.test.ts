import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { denialOf } from "../src/denial.js";
import type { Grant } from "../src/index.js";
import { inspect } from "../src/inspect.js";
import { byteOrder, type PolicyDocument } from "../src/policy/document.js";
import { CompiledFeed, type Feed } from "../src/policy/feed.js";
import { Compiled, maxScopes } from "../src/policy/judge.js";
import { View } from "../src/site.js";
import { judgeBody } from "../src/verdict.js";

interface Vectors {
  documents: Record<string, PolicyDocument>;
  vectors: {
    name: string;
    document: string;
    kind?: string;
    tool: string;
    granted?: string[] | null;
    subject?: { user?: string; org?: string; client?: string; host?: string; grant?: string };
    feed?: Feed | null;
    silence?: number;
    want: { allowed: boolean; reason: string; required?: string[] | null; missing?: string[] | null };
  }[];
}

const folder = process.env["OSTIARY_VECTORS"] ?? new URL("../../../../app/policy/testdata/", import.meta.url).pathname;

for (const [file, atLeast] of [
  ["vectors.json", 80],
  ["fuzzed.json", 1000],
] as const) {
  describe(`the decisions of ${file}`, () => {
    const { documents, vectors } = JSON.parse(readFileSync(`${folder}/${file}`, "utf8")) as Vectors;

    test("are there", () => {
      assert.ok(vectors.length >= atLeast, `only ${vectors.length}`);
    });

    test("are answered as the gate answers them", () => {
      const answers = new Map<string, [number, number]>([
        ["unknown_tool", [200, -32602]],
        ["unmapped_tool", [200, -32602]],
        ["insufficient_scope", [403, -32010]],
        ["stopped", [200, -32013]],
        ["out_of_contact", [503, -32014]],
      ]);
      const methods = new Map([
        ["tool", "tools/call"],
        ["prompt", "prompts/get"],
        ["content", "resources/read"],
      ]);
      let judged = 0;
      for (const v of vectors) {
        const kind = v.kind ?? "tool";
        const method = methods.get(kind);
        const doc = documents[v.document];
        if (method === undefined || v.tool === "" || doc === undefined) {
          continue; // nothing a client could ask for
        }
        judged++;
        const identifier = "https://mcp.example/mcp";
        const view = new View(
          { ...doc, mode: "enforce", resource: { ...doc.resource, identifier, aliases: [] } },
          "https://issuer.example",
        );
        const { user = "", org, client = "", host, grant } = v.subject ?? {};
        const who: Grant = {
          user,
          organization: org,
          client,
          host,
          grantId: grant,
          scopes: v.granted ?? [],
          issuer: "",
          tokenId: undefined,
          issuedAt: new Date(),
          expiresAt: new Date(),
        };
        const key = kind === "content" ? "uri" : "name";
        const body = inspect(Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 5, method, params: { [key]: v.tool } })));
        const now = { feed: new CompiledFeed(v.feed ?? undefined), silence: v.silence ?? 0 };
        const verdict = judgeBody(view, body, who, view.rules.granted(who.scopes), now);
        const at = { host: "mcp.example", path: "/mcp" };
        if (verdict.refused !== undefined) {
          assert.equal(verdict.refused, v.want.reason, v.name);
          continue;
        }
        const answer = denialOf(view, at, body, who, verdict);
        assert.equal(answer === undefined, v.want.allowed, v.name);
        if (answer === undefined) {
          continue;
        }
        const { id, error, result } = JSON.parse(answer.body ?? "") as Record<string, { code: number }>;
        assert.equal(id, 5, v.name);
        if (host === "chatgpt" && kind === "tool" && v.want.reason === "insufficient_scope") {
          assert.ok(answer.status === 200 && result !== undefined, v.name); // its dialect
          continue;
        }
        assert.deepEqual([answer.status, error?.code], answers.get(v.want.reason), v.name);
        assert.equal(answer.headers["WWW-Authenticate"] !== undefined, v.want.reason === "insufficient_scope", v.name);
      }
      assert.ok(judged > atLeast / 2, `only ${judged}`);
    });

    test("are the same here", () => {
      const compiled = new Map(Object.entries(documents).map(([name, doc]) => [name, new Compiled(doc)]));
      for (const v of vectors) {
        const rules = compiled.get(v.document);
        assert.ok(rules, v.name);
        const { user = "", org, client = "", host, grant } = v.subject ?? {};
        const subject = { user, organization: org, client, host, grantId: grant };
        const situation = { feed: new CompiledFeed(v.feed ?? undefined), silence: v.silence ?? 0 };
        const target = { kind: v.kind ?? "tool", name: v.tool };
        const got = rules.judge(target, subject, rules.granted(v.granted ?? []), situation);
        const want = {
          allowed: v.want.allowed,
          reason: v.want.reason,
          required: v.want.required ?? [],
          missing: v.want.missing ?? [],
        };
        assert.deepEqual({ ...got }, want, v.name);
      }
    });
  });
}

test("scopes beyond the limit grant nothing", () => {
  const names = Array.from({ length: maxScopes + 10 }, (_, i) => `s${String(i).padStart(4, "0")}`);
  const rules = new Compiled({
    revision: 1,
    mode: "enforce",
    resource: { id: "r", identifier: "https://r.example", name: "" },
    scopes: Object.fromEntries(names.map((n) => [n, { risk: "read" }])),
    tools: Object.fromEntries(names.map((n) => [n, { scopes: [n], match: "all" }])),
  });
  const situation = { feed: new CompiledFeed(), silence: 0 };
  names.forEach((name, i) => {
    const d = rules.judge({ kind: "tool", name }, { user: "u", client: "c" }, rules.granted([name]), situation);
    assert.equal(d.allowed, i < maxScopes, name);
  });
});

test("names from the prototype of objects are no scopes and no tools", () => {
  const rules = new Compiled({
    revision: 1,
    mode: "enforce",
    resource: { id: "r", identifier: "https://r.example", name: "" },
    scopes: { a: { risk: "read", implies: ["constructor", "__proto__"] } },
    tools: { t: { scopes: ["constructor"], match: "any" } },
  });
  const situation = { feed: new CompiledFeed(), silence: 0 };
  const granted = rules.granted(["a", "constructor", "__proto__", "toString"]);
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    assert.equal(
      rules.judge({ kind: "tool", name }, { user: "u", client: "c" }, granted, situation).reason,
      "unknown_tool",
    );
  }
  assert.equal(
    rules.judge({ kind: "tool", name: "t" }, { user: "u", client: "c" }, granted, situation).reason,
    "insufficient_scope",
  );
});

test("texts are in the order of their bytes", () => {
  const sample = ["", "a", "aa", "b", "é", "～", "\u{1f600}", "\u{1f601}", "\uffff", "a\u{1f600}", "a\uffff"];
  const byBytes = [...sample].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
  assert.deepEqual([...sample].sort(byteOrder), byBytes);
});

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { describe, test } from "node:test";

import type { CallRecord } from "../src/index.js";
import { Ostiary } from "../src/index.js";
import { resourceId, TestIssuer } from "./issuer.js";
import { callBody, eventually, frameworks, MemoryLog, World } from "./world.js";

/** Opens a stream and keeps what arrives on it. */
function open(w: World, token: string, body?: string): { status: number; text: string; ended: boolean } {
  const state = { status: 0, text: "", ended: false };
  const headers: Record<string, string> = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const req = httpRequest(
    w.url + "/mcp",
    { method: body === undefined ? "GET" : "POST", headers, agent: false },
    (res) => {
      state.status = res.statusCode ?? 0;
      res.on("data", (chunk: Buffer) => {
        state.text += chunk.toString();
      });
      res.on("close", () => {
        state.ended = true;
      });
      res.on("error", () => undefined);
    },
  );
  req.on("error", () => {
    state.ended = true;
  });
  req.end(body);
  return state;
}

async function* ticks(ended: AbortSignal): AsyncGenerator<string> {
  yield "data: first\n\n";
  while (!ended.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    yield ": still here\n\n";
  }
}

for (const framework of frameworks) {
  describe(`what is under way behind ${framework}`, { concurrency: 3 }, () => {
    for (const [name, change] of [
      ["revoked", { ended: { grants: ["grt_1"] } }],
      ["stopped", { stops: [{ kind: "user", value: "usr_ann" }] }],
    ] as const) {
      test(`ends when its grant is ${name}: streams`, async (t) => {
        const w = await World.start(t, framework);
        let stopped = 0;
        w.reply = () => ({
          headers: { "Content-Type": "text/event-stream" },
          stream: async function* (ended) {
            try {
              yield* ticks(ended);
            } finally {
              stopped++;
            }
          },
        });
        const ann = [
          open(w, await w.token("data:read")),
          open(w, await w.token("data:read"), callBody(1, "read_data")),
        ];
        const bob = open(w, await w.token("data:read", { sub: "usr_bob", grant_id: "grt_2" }));
        await eventually("all have begun", () => [...ann, bob].every((s) => s.text.includes("still here")));
        w.issuer.change(structuredClone(change) as object);
        await eventually("the streams end", () => ann.every((s) => s.ended));
        await eventually("the server is told", () => stopped === 2);
        const before = bob.text.length;
        await eventually("the neighbour goes on", () => bob.text.length > before);
        assert.equal(bob.ended, false);
      });

      test(`is answered when its grant is ${name} before there was an answer`, async (t) => {
        const w = await World.start(t, framework);
        let release = (): void => undefined;
        const held = new Promise<void>((resolve) => {
          release = resolve;
        });
        w.reply = () => ({
          headers: { "Content-Type": "application/json" },
          stream: async function* () {
            await held;
            yield "{}";
          },
        });
        w.hold = held;
        const call = open(w, await w.token("data:read"), callBody(7, "read_data"));
        await eventually("it has arrived", () => w.arrived > 0);
        w.issuer.change(structuredClone(change) as object);
        await eventually("it is answered", () => call.ended);
        assert.equal(call.status, name === "revoked" ? 401 : 200);
        assert.match(call.text, name === "revoked" ? /invalid_token/ : /"id":7,"error":\{"code":-32013/);
        release();
      });
    }
  });
}

test("after a gap in what was heard, who has an expired token ends too", async (t) => {
  const w = await World.start(t, "fetch");
  w.reply = () => ({ headers: { "Content-Type": "text/event-stream" }, stream: ticks });
  const now = w.issuer.clock.seconds;
  const short = open(w, await w.token("data:read", { exp: now + 600 }));
  const long = open(w, await w.token("data:read", { exp: now + 7200 }));
  await eventually("both have begun", () => short.text !== "" && long.text !== "");
  w.issuer.clock.advance(1200);
  w.issuer.change({});
  await eventually("the stream ends", () => short.ended);
  assert.equal(long.ended, false);
});

test("records say everything a decision was made from, and no argument but those that are audited", async (t) => {
  for (const framework of frameworks) {
    const calls: CallRecord[] = [];
    const w = await World.start(t, framework, { observe: (c) => calls.push(c) });
    const token = await w.token("data:read", { host: "claude-code" });
    await w.call("POST", "/mcp", { token, body: callBody(1, "read_data", { dataset: "accounts", secret: "s3cret" }) });
    await w.tool(token, "merge_data");
    await w.call("POST", "/mcp", { token, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
    w.issuer.change({ ended: { grants: ["grt_1"] } });
    await eventually("it bites", async () => (await w.call("GET", "/mcp", { token })).status === 401);
    assert.equal(calls.length, 3 + calls.filter((c) => c.kind === "request").length - 1);
    const [allowed, denied] = calls;
    assert.ok(allowed && denied);
    const { id, at, latency_us: latency, silence, ...rest } = allowed;
    assert.match(id, /^call_[A-Z2-7]{26}$/);
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000 && latency > 0 && silence >= 0);
    assert.deepEqual(rest, {
      kind: "tool",
      tool: "read_data",
      user: "usr_ann",
      org: "org_globex",
      client: "cli_claude",
      host: "claude-code",
      grant: "grt_1",
      proof: "token",
      scopes: ["data:read"],
      allowed: true,
      reason: "allowed",
      revision: 1,
      seq: 1,
      status: 200,
      arguments: { dataset: "accounts" },
    });
    assert.deepEqual(
      [denied.tool, denied.allowed, denied.status, denied.missing],
      ["merge_data", false, 403, ["data:write"]],
    );
    const request = calls.find((c) => c.kind === "request");
    assert.deepEqual([request?.tool, request?.reason, request?.status], ["GET", "revoked", 401]);
    assert.equal(JSON.stringify(calls).includes("s3cret"), false);
  }
});

test("who is told of an end that has come already is told at once", async (t) => {
  const w = await World.start(t, "fetch");
  const grant = await w.ostiary.verify(await w.token("data:read"));
  let told = 0;
  const release = w.ostiary.onEnded(grant, () => told++);
  release();
  w.issuer.change({ ended: { grants: ["grt_1"] } });
  await eventually("it bites", () => w.ostiary.refuses(grant) === "revoked");
  assert.equal(told, 0); // taken back
  w.ostiary.onEnded(grant, () => told++);
  assert.equal(told, 1);
  await assert.rejects(w.ostiary.verify(await w.token("data:read")), /revoked/);
});

test("an observer that fails harms nobody", async (t) => {
  const w = await World.start(t, "fetch", {
    observe: () => {
      throw new Error("full");
    },
  });
  assert.equal((await w.tool(await w.token("data:read"), "read_data")).status, 200);
  assert.equal(w.log.count("the observer of calls failed"), 1);
});

describe("reports", () => {
  const credential = { id: "rcr_1", secret: "s:e/c ret" };

  test("are delivered in batches with the credential", async (t) => {
    const w = await World.start(t, "fetch", { report: { credential } });
    const token = await w.token("data:read");
    for (let i = 0; i < 5; i++) {
      await w.tool(token, "read_data");
    }
    await eventually("a report arrives", () => w.issuer.reports.length > 0);
    const [report] = w.issuer.reports;
    assert.equal(Buffer.from(report?.authorization?.split(" ")[1] ?? "", "base64").toString(), "rcr_1:s%3Ae%2Fc%20ret");
    const { calls } = JSON.parse(report?.body ?? "") as { calls: CallRecord[] };
    assert.deepEqual(
      calls.map((c) => c.tool),
      Array.from({ length: 5 }, () => "read_data"),
    );
    assert.equal(
      w.log.lines.some((line) => line.includes("s:e/c")),
      false,
    );
  });

  test("are delivered at the end, and again when the issuer was away", async () => {
    const is = await TestIssuer.start();
    const log = new MemoryLog();
    const ostiary = new Ostiary({ issuer: is.url, resourceId, logger: log, report: { credential } });
    await ostiary.ready();
    const back = is.goDown();
    for (let i = 0; i < 300; i++) {
      ostiary.record(() => ({ tool: `t${i}` }) as CallRecord);
    }
    await eventually("it is noticed", () => log.count("records of calls cannot be delivered") > 0);
    back();
    await ostiary.close();
    const tools = is.reports.flatMap((r) => (JSON.parse(r.body) as { calls: CallRecord[] }).calls.map((c) => c.tool));
    assert.deepEqual(
      tools,
      Array.from({ length: 300 }, (_, i) => `t${i}`),
    );
    await is.close();
  });

  test("whose answer was lost are sent again exactly as they were", async () => {
    const is = await TestIssuer.start();
    const ostiary = new Ostiary({ issuer: is.url, resourceId, logger: new MemoryLog(), report: { credential } });
    await ostiary.ready();
    const bodies: string[] = [];
    is.override = (req, res) => {
      if (req.method !== "POST") {
        return false;
      }
      const chunks: Buffer[] = [];
      req
        .on("data", (chunk: Buffer) => chunks.push(chunk))
        .on("end", () => {
          bodies.push(Buffer.concat(chunks).toString());
          if (bodies.length === 1) {
            res.destroy();
          } else {
            res.end("{}");
          }
        });
      return true;
    };
    ostiary.record(() => ({ tool: "first" }) as CallRecord);
    await eventually("it was sent", () => bodies.length === 1);
    ostiary.record(() => ({ tool: "second" }) as CallRecord);
    await ostiary.close();
    const [first, second] = ["first", "second"].map((tool) => JSON.stringify({ calls: [{ tool }] }));
    assert.deepEqual(bodies, [first, first, second]);
    await is.close();
  });

  test("that the issuer puts off wait as long as it says, and each trouble is told once", async (t) => {
    t.mock.method(Math, "random", () => 0);
    const is = await TestIssuer.start();
    const log = new MemoryLog();
    const ostiary = new Ostiary({ issuer: is.url, resourceId, logger: log, report: { credential } });
    await ostiary.ready();
    const came: number[] = [];
    is.override = (req, res) => {
      if (req.method !== "POST" || came.push(performance.now()) > 4) {
        return false;
      }
      const later: Record<string, string> = came.length < 3 ? { "Retry-After": "1" } : {};
      res.writeHead(came.length < 3 ? 429 : 502, later).end();
      return true;
    };
    ostiary.record(() => ({ tool: "put_off" }) as CallRecord);
    await eventually("it was put off twice", () => came.length >= 3);
    const [first = 0, second = 0, third = 0] = came;
    assert.ok(second - first >= 990 && third - second >= 990, `came after ${second - first} and ${third - second} ms`);
    await eventually("another trouble is told", () => log.count("records of calls cannot be delivered") > 1);
    await ostiary.close();
    assert.equal(log.count("records of calls cannot be delivered"), 2);
    assert.equal(is.reports.length, 1);
    await is.close();
  });

  test("of harm outlast any number of cheap calls", async (t) => {
    const w = await World.start(t, "fetch", { report: { credential } });
    const token = await w.token("data:read data:write data:delete");
    const back = w.issuer.goDown();
    await w.tool(token, "read_data");
    await eventually("it is noticed", () => w.log.count("records of calls cannot be delivered") > 0);
    await w.tool(token, "delete_data");
    await w.tool(token, "write_data");
    for (let i = 0; i < 10_500; i++) {
      w.ostiary.record(() => ({ tool: "denied", allowed: false }) as CallRecord, "destructive");
      w.ostiary.record(() => ({ tool: "made up", allowed: true }) as CallRecord);
      w.ostiary.record(() => ({ tool: "read", allowed: true }) as CallRecord, "read");
    }
    back();
    await w.ostiary.close();
    const batches = w.issuer.reports.map((r) => JSON.parse(r.body) as { calls: CallRecord[]; dropped?: number });
    const tools = batches.flatMap((b) => b.calls.map((c) => c.tool));
    assert.deepEqual(tools.slice(0, 3), ["read_data", "delete_data", "write_data"]);
    assert.equal(tools.length, 10_000);
    assert.equal(
      batches.reduce((sum, b) => sum + (b.dropped ?? 0), 0),
      3 + 3 * 10_500 - 10_000,
    );
    assert.equal(tools.includes("denied"), false);
  });

  test("beyond what is held drop the oldest and say how many", async () => {
    const is = await TestIssuer.start();
    const ostiary = new Ostiary({ issuer: is.url, resourceId, logger: new MemoryLog(), report: { credential } });
    await ostiary.ready();
    const back = is.goDown();
    for (let i = 0; i < 10_250; i++) {
      ostiary.record(() => ({ tool: `t${i}` }) as CallRecord);
    }
    back();
    await ostiary.close();
    const batches = is.reports.map((r) => JSON.parse(r.body) as { calls: CallRecord[]; dropped?: number });
    const kept = batches.reduce((sum, b) => sum + b.calls.length, 0);
    const dropped = batches.reduce((sum, b) => sum + (b.dropped ?? 0), 0);
    assert.equal(kept + dropped, 10_250);
    assert.ok(batches.every((b) => b.calls.length <= 500) && kept >= 9_500);
    await is.close();
  });

  test("are off unless asked for", async (t) => {
    const w = await World.start(t, "fetch");
    await w.tool(await w.token("data:read"), "read_data");
    await w.ostiary.close();
    assert.equal(w.issuer.reports.length, 0);
  });
});

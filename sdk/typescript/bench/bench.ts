// What protection costs per call, against the same server without it, on a warm token. Prints one line per framework.
import { createServer, request, Agent, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { createAdaptorServer } from "@hono/node-server";
import express from "express";
import { Hono } from "hono";

import { ostiaryExpress } from "../src/express.js";
import { ostiaryHono } from "../src/hono.js";
import { Ostiary, ostiaryFetch } from "../src/index.js";
import { resourceId, TestIssuer } from "../test/issuer.js";

const body = JSON.stringify({
  jsonrpc: "2.0",
  id: 7,
  method: "tools/call",
  params: { name: "read_data", arguments: { dataset: "accounts", limit: 50 }, _meta: { progressToken: 7 } },
});
const answer = JSON.stringify({
  jsonrpc: "2.0",
  id: 7,
  result: { content: [{ type: "text", text: "x".repeat(500) }] },
});
const json = { "Content-Type": "application/json" };
const calls = Number(process.env["CALLS"] ?? 4_000);
const rounds = 5;

const issuer = await TestIssuer.start();
const ostiary = new Ostiary({ issuer: issuer.url, resourceId });
await ostiary.ready();
const token = await issuer.token("data:read data:list data:write");
const headers = {
  ...json,
  Authorization: `Bearer ${token}`,
  "Mcp-Method": "tools/call",
  "Mcp-Name": "read_data",
  "Content-Length": Buffer.byteLength(body),
};
const agent = new Agent({ keepAlive: true, maxSockets: 8 });

const fetchHandler = async (r: Request): Promise<Response> => {
  JSON.parse(await r.text());
  return new Response(answer, { headers: json });
};
const nodeHandler: RequestListener = (req, res) => {
  const chunks: Buffer[] = [];
  req.on("data", (c: Buffer) => chunks.push(c));
  req.on("end", () => {
    JSON.parse(Buffer.concat(chunks).toString());
    res.writeHead(200, json).end(answer);
  });
};

function withExpress(protect: boolean): RequestListener {
  const app = express();
  if (protect) {
    app.use(ostiaryExpress(ostiary));
  }
  return app.use(nodeHandler as express.RequestHandler) as RequestListener;
}

function withHono(protect: boolean): Server {
  const app = new Hono();
  if (protect) {
    app.use("*", ostiaryHono(ostiary));
  }
  app.all("*", (c) => fetchHandler(c.req.raw));
  return createAdaptorServer({ fetch: app.fetch }) as Server;
}

const pairs: [string, () => Server, () => Server][] = [
  ["express", () => createServer(withExpress(false)), () => createServer(withExpress(true))],
  ["hono", () => withHono(false), () => withHono(true)],
  [
    "fetch",
    () => createAdaptorServer({ fetch: fetchHandler }) as Server,
    () => createAdaptorServer({ fetch: ostiaryFetch(fetchHandler, ostiary) }) as Server,
  ],
];

console.log("framework   bare req/s   protected req/s   ratio   processor time per call: bare, protected, added");
for (const [name, bare, guarded] of pairs) {
  const best = { bare: { rate: 0, cpu: Infinity }, guarded: { rate: 0, cpu: Infinity } };
  for (let round = 0; round < rounds; round++) {
    // In turn, so that both see the same machine. The client runs in this process too, and costs both the same.
    best.bare = better(best.bare, await measure(bare()));
    best.guarded = better(best.guarded, await measure(guarded()));
  }
  const [a, b] = [best.bare, best.guarded];
  console.log(
    `${name.padEnd(11)} ${a.rate.toFixed(0).padStart(10)}   ${b.rate.toFixed(0).padStart(15)}   ` +
      `${(b.rate / a.rate).toFixed(2).padStart(5)}   ${a.cpu.toFixed(0)}, ${b.cpu.toFixed(0)}, ${(b.cpu - a.cpu).toFixed(0)} µs`,
  );
}

const { Guard } = await import("../src/guard.js");
const guard = new Guard(ostiary);
const raw = Buffer.from(body);
const incoming = {
  method: "POST",
  host: "mcp.acme.example",
  path: "/mcp",
  query: "",
  hasBody: true,
  read: () => Promise.resolve(raw),
  values: (name: string): string[] => {
    const value = Object.entries(headers).find(([n]) => n.toLowerCase() === name)?.[1];
    return value === undefined ? [] : [String(value)];
  },
};
const took: number[] = [];
for (let i = 0; i < 50_000; i++) {
  const start = performance.now();
  await guard.decide(incoming);
  took.push(performance.now() - start);
}
const sorted = took.slice(10_000).sort((a, b) => a - b);
const at = (share: number): string => ((sorted[Math.floor(sorted.length * share)] ?? 0) * 1000).toFixed(1);
console.log(`decision alone, warm token: p50 ${at(0.5)} µs, p99 ${at(0.99)} µs`);

// Memory: a million decisions about ten thousand callers, more than are remembered at once.
const tokens = await Promise.all(
  Array.from({ length: 10_000 }, (_, i) => issuer.token("data:read", { sub: `usr_${i}` })),
);
const collect = (globalThis as { gc?: () => void }).gc ?? ((): void => undefined);
const heap = (): string => {
  collect();
  return (process.memoryUsage().heapUsed / 2 ** 20).toFixed(1);
};
const marks: string[] = [];
const million = Number(process.env["DECISIONS"] ?? 1_000_000);
for (let i = 0; i < million; i++) {
  if (i % Math.ceil(million / 4) === 0 && i > 0) {
    marks.push(heap());
  }
  const authorization = `Bearer ${tokens[i % tokens.length] ?? ""}`;
  await guard.decide({
    ...incoming,
    values: (name) => (name === "authorization" ? [authorization] : incoming.values(name)),
  });
}
console.log(`heap over ${million} decisions, by quarters: ${[...marks, heap()].join(", ")} MiB`);

agent.destroy();
await ostiary.close();
await issuer.close();

interface Measured {
  rate: number; // per second
  cpu: number; // microseconds per call
}

function better(a: Measured, b: Measured): Measured {
  return { rate: Math.max(a.rate, b.rate), cpu: Math.min(a.cpu, b.cpu) };
}

/** Requests over kept connections, eight at a time. */
async function measure(server: Server): Promise<Measured> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const req = request({ port, host: "127.0.0.1", path: "/mcp", method: "POST", agent, headers }, (res) => {
        if (res.statusCode !== 200) {
          reject(new Error(`answered ${res.statusCode ?? 0}`));
        }
        res.resume().on("end", resolve);
      });
      req.on("error", reject).end(body);
    });
  const worker = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) {
      await one();
    }
  };
  await worker(50);
  const start = performance.now();
  const used = process.cpuUsage();
  await Promise.all(Array.from({ length: 8 }, () => worker(calls / 8)));
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(used);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return { rate: calls / seconds, cpu: (user + system) / calls };
}

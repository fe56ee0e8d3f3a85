import assert from "node:assert/strict";
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
} from "node:http";
import { connect, type AddressInfo } from "node:net";
import type { TestContext } from "node:test";

import { createAdaptorServer } from "@hono/node-server";
import express from "express";
import { Hono } from "hono";

import { ostiaryExpress } from "../src/express.js";
import { ostiaryHono } from "../src/hono.js";
import {
  grantOf,
  currentGrant,
  Ostiary,
  ostiaryFetch,
  type Grant,
  type Logger,
  type OstiaryOptions,
} from "../src/index.js";
import { resourceId, TestIssuer } from "./issuer.js";

export const frameworks = ["fetch", "express", "hono"] as const;
export type Framework = (typeof frameworks)[number];

/** What a server below the guard saw of a request. */
export interface Seen {
  method: string;
  url: string;
  headers: Map<string, string>;
  body: string;
  parsed: unknown; // Express only
  grant: Grant | undefined;
  requestGrant: Grant | undefined;
}

/** How the server below answers. */
export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** A stream: written piece by piece; ends when the generator does. */
  stream?: (ended: AbortSignal) => AsyncGenerator<string>;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  raw: string[];
  body: string;
}

/** Keeps what was logged. */
export class MemoryLog implements Logger {
  readonly lines: string[] = [];
  info = (message: string, facts = {}): void => void this.lines.push(`INFO ${message} ${JSON.stringify(facts)}`);
  warn = (message: string, facts = {}): void => void this.lines.push(`WARN ${message} ${JSON.stringify(facts)}`);
  error = (message: string, facts = {}): void => void this.lines.push(`ERROR ${message} ${JSON.stringify(facts)}`);
  count(part: string): number {
    return this.lines.filter((line) => line.includes(part)).length;
  }
}

/** An issuer, a protected MCP server and a client, on loopback. */
export class World {
  readonly seen: Seen[] = [];
  readonly log = new MemoryLog();
  reply: (seen: Seen) => Reply = () => ({
    headers: { "Content-Type": "application/json" },
    body: '{"jsonrpc":"2.0","id":1,"result":{}}',
  });
  hold: Promise<void> | undefined; // keeps answers back
  arrived = 0;
  issuer!: TestIssuer;
  ostiary!: Ostiary;
  url = "";

  static async start(
    t: TestContext,
    framework: Framework,
    options: Partial<OstiaryOptions> = {},
    spoil: (is: TestIssuer) => void = () => undefined,
  ): Promise<World> {
    const w = new World();
    w.issuer = await TestIssuer.start();
    spoil(w.issuer);
    w.ostiary = new Ostiary({
      issuer: w.issuer.url,
      resourceId,
      logger: w.log,
      now: w.issuer.clock.now,
      pollEvery: 20,
      backoff: { min: 10, max: 50 },
      ...options,
    });
    const server = w.#serve(framework);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    w.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    t.after(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await w.ostiary.close();
      await w.issuer.close();
    });
    await w.ostiary.ready();
    return w;
  }

  #serve(framework: Framework): Server {
    switch (framework) {
      case "fetch":
        return createAdaptorServer({ fetch: ostiaryFetch((request) => this.#answer(request), this.ostiary) }) as Server;
      case "hono": {
        const app = new Hono();
        app.use("*", ostiaryHono(this.ostiary));
        app.all("*", (c) => this.#answer(c.req.raw));
        return createAdaptorServer({ fetch: app.fetch }) as Server;
      }
      case "express": {
        const app = express();
        app.disable("x-powered-by");
        app.use(ostiaryExpress(this.ostiary));
        app.use((req, res) => void this.#answerNode(req, res));
        return createServer(app);
      }
    }
  }

  async #answer(request: Request): Promise<Response> {
    this.arrived++;
    await this.hold;
    const seen: Seen = {
      method: request.method,
      url: request.url,
      headers: new Map(request.headers),
      body: await request.text(),
      parsed: undefined,
      grant: currentGrant(),
      requestGrant: grantOf(request),
    };
    this.seen.push(seen);
    const { status = 200, headers = {}, body = null, stream } = this.reply(seen);
    if (stream === undefined) {
      return new Response(status === 202 ? null : (body as string | null), { status, headers });
    }
    const pieces = stream(request.signal);
    const out = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const next = await pieces.next();
        if (next.done === true) {
          controller.close();
        } else {
          controller.enqueue(Buffer.from(next.value));
        }
      },
      async cancel() {
        await pieces.return(undefined);
      },
    });
    return new Response(out, { status, headers });
  }

  async #answerNode(req: express.Request, res: express.Response): Promise<void> {
    this.arrived++;
    await this.hold;
    const chunks: Buffer[] = [];
    for await (const chunk of req as AsyncIterable<Buffer>) {
      chunks.push(chunk);
    }
    const seen: Seen = {
      method: req.method,
      url: req.url,
      headers: namedHeaders(req),
      body: Buffer.concat(chunks).toString(),
      parsed: req.body as unknown,
      grant: currentGrant(),
      requestGrant: grantOf(req),
    };
    this.seen.push(seen);
    const { status = 200, headers = {}, body = "", stream } = this.reply(seen);
    res.writeHead(status, headers);
    if (stream === undefined) {
      res.end(body);
      return;
    }
    const ended = new AbortController();
    res.on("close", () => {
      ended.abort();
    });
    res.flushHeaders();
    for await (const piece of stream(ended.signal)) {
      if (ended.signal.aborted) {
        break;
      }
      res.write(piece);
    }
    res.end();
  }

  /** Sends a request, with headers exactly as given. */
  call(
    method: string,
    path: string,
    o: { token?: string; body?: string | Uint8Array; headers?: string[] } = {},
  ): Promise<Answer> {
    const headers = ["Host", new URL(this.url).host];
    if (o.token !== undefined) {
      headers.push("Authorization", `Bearer ${o.token}`);
    }
    const extra = (o.headers ?? []).map((line) => line.split(/: ?(.*)/s, 2)).flat();
    const given = (name: string): boolean => extra.some((n, i) => i % 2 === 0 && n.toLowerCase() === name);
    if (o.body !== undefined) {
      headers.push("Content-Length", String(Buffer.byteLength(o.body)));
      if (!given("content-type")) {
        headers.push("Content-Type", "application/json");
      }
    }
    return new Promise((resolve, reject) => {
      const req = httpRequest(this.url + path, { method, headers: [...headers, ...extra], agent: false }, (res) => {
        const chunks: Buffer[] = [];
        res.on("data", (chunk: Buffer) => chunks.push(chunk));
        const done = (): void => {
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers,
            raw: res.rawHeaders,
            body: Buffer.concat(chunks).toString(),
          });
        };
        res.on("end", done);
        res.on("error", done);
      });
      req.on("error", reject);
      req.end(o.body);
    });
  }

  /** Calls a tool. */
  async tool(token: string | undefined, name: string): Promise<Answer> {
    return this.call("POST", "/mcp", { ...(token !== undefined && { token }), body: callBody(1, name) });
  }

  token(scope: string, edits: Record<string, unknown> = {}): Promise<string> {
    return this.issuer.token(scope, edits);
  }

  get last(): Seen {
    const seen = this.seen.at(-1);
    assert.ok(seen, "nothing reached the MCP server");
    return seen;
  }
}

function namedHeaders(req: IncomingMessage): Map<string, string> {
  const raw = req.rawHeaders;
  const fromRaw = raw.flatMap((name, i): [string, string][] =>
    i % 2 === 0 ? [[name.toLowerCase(), raw[i + 1] ?? ""]] : [],
  );
  return new Map([
    ...fromRaw,
    ...Object.entries(req.headers).map(([name, value]): [string, string] => [name, String(value)]),
  ]);
}

export function callBody(id: number, tool: string, args: Record<string, unknown> = {}): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name: tool, arguments: args } });
}

export const listBody = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

/** Waits until something is so. */
export async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await isSo())) {
    if (Date.now() > end) {
      assert.fail(`never: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The parameters of a challenge. */
export function paramsOf(challenge: string | undefined): Map<string, string> {
  assert.match(challenge ?? "", /^Bearer /);
  return new Map([...(challenge ?? "").matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1] ?? "", m[2] ?? ""]));
}

/** The JSON-RPC error of an answer. */
export function errorOf(a: Answer): {
  id: unknown;
  code: number;
  message: string;
  data?: { error: string; scope: string };
} {
  const { id, error } = JSON.parse(a.body) as { id: unknown; error: { code: number; message: string } };
  return { id, ...error };
}

/** The beginning of a POST of somebody who may read. */
export async function rawHead(w: World, framing: string): Promise<string> {
  const token = await w.token("data:read");
  return `POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`;
}

/** Sends raw bytes and returns the beginning of what comes back, or all of it when the connection closes. */
export function exchange(w: World, raw: string, hangUp = false): Promise<string> {
  const { hostname, port } = new URL(w.url);
  return new Promise((resolve) => {
    let out = "";
    const socket = connect(Number(port), hostname, () => {
      socket.write(raw);
      if (hangUp) {
        setImmediate(() => {
          socket.destroy();
        });
      }
    });
    socket.on("data", (chunk) => {
      out += chunk.toString();
      if (out.includes("\r\n\r\n") && !/200 OK/.test(out)) {
        socket.destroy();
      }
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      resolve(out);
    });
  });
}

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";

import { createAdaptorServer } from "@hono/node-server";
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from "@modelcontextprotocol/client";
import { requireBearerAuth as requireBearerAuth2 } from "@modelcontextprotocol/express";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  createMcpHandler,
  McpServer as McpServer2,
  OAuthError,
  OAuthErrorCode,
  requireBearerAuth as fetchBearerAuth,
} from "@modelcontextprotocol/server";
import express from "express";
import { Hono } from "hono";

import { ostiaryExpress } from "../src/express.js";
import { ostiaryHono, type OstiaryVariables } from "../src/hono.js";
import { authInfoOf, currentGrant, grantOf, Ostiary, ostiaryFetch, type Grant } from "../src/index.js";
import { enforce, mcpVerifier, scopeChallenge } from "../src/mcp.js";
import { resourceId, TestIssuer } from "./issuer.js";
import { callBody, eventually, listBody, MemoryLog } from "./world.js";

interface Protected {
  issuer: TestIssuer;
  ostiary: Ostiary;
  log: MemoryLog;
  serve(server: Server): Promise<string>;
}

async function prepare(t: TestContext): Promise<Protected> {
  const issuer = await TestIssuer.start();
  const log = new MemoryLog();
  const ostiary = new Ostiary({
    issuer: issuer.url,
    resourceId,
    logger: log,
    backoff: { min: 10, max: 50 },
    pollEvery: 20,
  });
  const servers: Server[] = [];
  t.after(async () => {
    servers.forEach((s) => {
      s.closeAllConnections();
    });
    await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
    await ostiary.close();
    await issuer.close();
  });
  await ostiary.ready();
  return {
    issuer,
    ostiary,
    log,
    async serve(server) {
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    },
  };
}

type Content = { content: { type: "text"; text: string }[] };

function told(text: string): Content {
  return { content: [{ type: "text", text }] };
}

/** A server on SDK 1.x; the tools say who calls. */
type Handler = (extra: { authInfo?: { extra?: Record<string, unknown> } }) => Content;

function server1(wrap: (name: string, handler: Handler) => Handler): McpServer {
  const server = new McpServer({ name: "acme", version: "1" });
  for (const name of ["read_data", "write_data", "unmapped"]) {
    server.registerTool(
      name,
      { description: name },
      wrap(name, (extra) =>
        told(`${name} for ${(extra.authInfo?.extra?.["grant"] as Grant | undefined)?.user ?? "nobody"}`),
      ),
    );
  }
  return server;
}

const open = (_name: string, handler: Handler): Handler => handler;

async function handle1(server: McpServer, req: express.Request, res: express.Response, body?: unknown): Promise<void> {
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
  await server.connect(transport);
  await transport.handleRequest(req, res, body);
}

async function client1(url: string, token: string): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
  await client.connect(transport);
  return client;
}

async function client2(url: string, token: string): Promise<Client2> {
  const client = new Client2({ name: "test", version: "1" });
  await client.connect(
    new Transport2(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${token}` } } }),
  );
  return client;
}

function textOf(result: unknown): string {
  return (result as Content).content[0]?.text ?? "";
}

test("SDK 1.x behind the Express middleware, with both clients", async (t) => {
  const p = await prepare(t);
  for (const readsBody of [true, false]) {
    // the parsed body, or the stream
    const app = express();
    app.use(ostiaryExpress(p.ostiary));
    app.all("/mcp", (req, res) => void handle1(server1(open), req, res, readsBody ? req.body : undefined));
    const url = await p.serve(createServer(app));
    const token = await p.issuer.token("data:read");
    for (const client of [await client1(url, token), await client2(url, token)]) {
      const { tools } = await client.listTools();
      assert.deepEqual(
        tools.map((tool) => tool.name),
        ["read_data"],
      );
      assert.equal(textOf(await client.callTool({ name: "read_data" })), "read_data for usr_ann");
      await assert.rejects(client.callTool({ name: "unmapped" }), /Unknown tool: unmapped/);
      await assert.rejects(client.callTool({ name: "write_data" }));
      await client.close();
    }
  }
});

test("SDK 2.x behind the fetch wrapper, in both eras", async (t) => {
  const p = await prepare(t);
  const handler = createMcpHandler(() => {
    const server = new McpServer2({ name: "acme", version: "1" });
    server.registerTool("read_data", { description: "r" }, (ctx) => {
      const grant = ctx.http?.authInfo?.extra?.["grant"] as Grant | undefined;
      return told(`${grant?.user ?? "nobody"} ${currentGrant().organization ?? ""}`);
    });
    server.registerTool("write_data", { description: "w" }, () => told("written"));
    return server;
  });
  const { identifier } = p.ostiary.policy?.resource ?? { identifier: "" };
  const fetch = ostiaryFetch((request) => {
    const grant = grantOf(request);
    assert.ok(grant);
    return handler.fetch(request, { authInfo: authInfoOf(grant, identifier) });
  }, p.ostiary);
  const url = await p.serve(createAdaptorServer({ fetch }) as Server);
  const token = await p.issuer.token("data:read");
  for (const client of [await client1(url, token), await client2(url, token)]) {
    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map((tool) => tool.name),
      ["read_data"],
    );
    assert.equal(textOf(await client.callTool({ name: "read_data" })), "usr_ann org_globex");
    await assert.rejects(client.callTool({ name: "write_data" }));
    await client.close();
  }
});

test("SDK 2.x behind the Hono middleware", async (t) => {
  const p = await prepare(t);
  const handler = createMcpHandler(() => {
    const server = new McpServer2({ name: "acme", version: "1" });
    server.registerTool("read_data", { description: "r" }, (ctx) => told(ctx.http?.authInfo?.clientId ?? "nobody"));
    return server;
  });
  const app = new Hono<{ Variables: OstiaryVariables }>();
  app.use("/.well-known/oauth-protected-resource/*", ostiaryHono(p.ostiary));
  app.use("/mcp", ostiaryHono(p.ostiary));
  app.all("/mcp", (c) => {
    assert.equal(c.get("grant").user, "usr_ann");
    return handler.fetch(c.req.raw, { authInfo: c.get("auth") });
  });
  app.get("/healthz", (c) => c.text("ok"));
  const url = await p.serve(createAdaptorServer({ fetch: app.fetch }) as Server);
  const client = await client2(url, await p.issuer.token("data:read"));
  assert.equal(textOf(await client.callTool({ name: "read_data" })), "cli_claude");
  await client.close();
  assert.equal(await (await fetch(new URL("/healthz", url))).text(), "ok");
  const prm = await fetch(new URL("/.well-known/oauth-protected-resource/mcp", url));
  assert.equal(((await prm.json()) as { resource: string }).resource, "https://mcp.acme.example/mcp");
});

test("SDK 1.x with its own requireBearerAuth: verifier and enforced tools", async (t) => {
  const p = await prepare(t);
  const verifier = mcpVerifier(p.ostiary, (message) => new InvalidTokenError(message));
  const app = express();
  app.use(
    "/mcp",
    express.json(),
    requireBearerAuth({
      verifier,
      resourceMetadataUrl: "https://mcp.acme.example/.well-known/oauth-protected-resource/mcp",
      expectedResource: new URL("https://mcp.acme.example/mcp"),
    }),
  );
  const enforced = (name: string, handler: Handler): Handler => enforce(p.ostiary, name, handler) as never;
  app.all("/mcp", (req, res) => void handle1(server1(enforced), req, res, req.body));
  const url = await p.serve(createServer(app));

  const anonymous = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: listBody,
  });
  assert.equal(anonymous.status, 401);
  assert.match(anonymous.headers.get("www-authenticate") ?? "", /resource_metadata="https:\/\/mcp\.acme\.example/);
  const bad = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: "Bearer x.y.z" },
    body: listBody,
  });
  assert.equal(bad.status, 401);
  assert.match(bad.headers.get("www-authenticate") ?? "", /error="invalid_token"/);

  const client = await client1(url, await p.issuer.token("data:read"));
  assert.equal(textOf(await client.callTool({ name: "read_data" })), "read_data for usr_ann");
  const denied = await client.callTool({ name: "write_data" });
  assert.equal(denied.isError, true);
  assert.equal(textOf(denied), "This call needs the permission data:write");
  assert.equal(textOf(await client.callTool({ name: "unmapped" })), "Unknown tool: unmapped");
  p.issuer.change({ stops: [{ kind: "tool", value: "read_data" }] });
  await eventually("the stop bites", async () =>
    textOf(await client.callTool({ name: "read_data" })).startsWith("This is stopped"),
  );
  p.issuer.change({ stops: [], ended: { grants: ["grt_1"] } });
  await eventually("the revocation bites", async () => {
    const answer = await client.callTool({ name: "read_data" }).then(textOf, (e: unknown) => String(e));
    return answer.includes("invalid_token") || answer.includes("Unauthorized");
  });
});

test("SDK 2.x with its own requireBearerAuth: verifier, challenges and enforced tools", async (t) => {
  const p = await prepare(t);
  const verifier = mcpVerifier(p.ostiary, (message) => new OAuthError(OAuthErrorCode.InvalidToken, message));
  const gate = fetchBearerAuth({ verifier });
  const handler = createMcpHandler(() => {
    const server = new McpServer2({ name: "acme", version: "1" });
    for (const name of ["read_data", "write_data", "unmapped"]) {
      const config = { description: name, scopeChallenge: scopeChallenge(p.ostiary, name) };
      server.registerTool(
        name,
        config,
        enforce(p.ostiary, name, () => told(`did ${name}`)),
      );
    }
    return server;
  });
  const fetchHandler = async (request: Request): Promise<Response> => {
    const auth = await gate(request);
    return auth instanceof Response ? auth : handler.fetch(request, { authInfo: auth });
  };
  const url = await p.serve(createAdaptorServer({ fetch: fetchHandler }) as Server);
  const token = await p.issuer.token("data:read");
  const client = await client2(url, token);
  assert.equal(textOf(await client.callTool({ name: "read_data" })), "did read_data");
  assert.equal(textOf(await client.callTool({ name: "unmapped" })), "Unknown tool: unmapped");
  await assert.rejects(client.callTool({ name: "write_data" }));
  await client.close();
  const headers = {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    Authorization: `Bearer ${token}`,
  };
  const challenged = await fetch(url, { method: "POST", headers, body: callBody(1, "write_data") });
  assert.equal(challenged.status, 403);
  assert.match(challenged.headers.get("www-authenticate") ?? "", /scope="data:write"/);
  const bad = await fetch(url, {
    method: "POST",
    headers: { ...headers, Authorization: "Bearer x.y.z" },
    body: listBody,
  });
  assert.equal(bad.status, 401);
});

test("the verifier works in the Express middleware of SDK 2.x too", async (t) => {
  const p = await prepare(t);
  const verifier = mcpVerifier(p.ostiary, (message) => new OAuthError(OAuthErrorCode.InvalidToken, message));
  const app = express();
  app.use(requireBearerAuth2({ verifier }));
  app.use((req, res) => void res.json((req as { auth?: { clientId: string } }).auth?.clientId));
  const url = await p.serve(createServer(app));
  const status = async (token: string): Promise<number> =>
    (await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status;
  const token = await p.issuer.token("data:read");
  assert.equal(await status(token), 200);
  assert.equal(await status("x.y.z"), 401);
  // Who is stopped has a good token: a new one would not help, so the client must not be sent for it.
  p.issuer.change({ stops: [{ kind: "server", value: resourceId }] });
  await eventually("the stop bites", async () => (await status(token)) === 500);
});

test("a tool is not run for a caller nobody knows", async (t) => {
  const p = await prepare(t);
  let ran = 0;
  const tool = enforce(p.ostiary, "read_data", (..._args: unknown[]) => {
    ran++;
    return told("ran");
  });
  for (const args of [[], [undefined], [{}], [{ authInfo: {} }], [{ authInfo: { extra: {} } }], [{ http: {} }]]) {
    const answer = await tool(...args);
    assert.equal(textOf(answer), "This tool needs an access token");
  }
  assert.equal(ran, 0);
});

test("Express: body parsers below, node:http alone, public paths, mistakes that are said", async (t) => {
  const p = await prepare(t);
  const token = await p.issuer.token("data:read");
  const post = (url: string): Promise<Response> =>
    fetch(url, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: callBody(1, "read_data"),
    });

  const parsed = express();
  parsed.use(ostiaryExpress(p.ostiary), express.json(), (req, res) => void res.json((req.body as { id: number }).id));
  const parsedURL = await p.serve(createServer(parsed));
  for (let i = 0; i < 3; i++) {
    assert.equal(await (await post(parsedURL)).text(), "1");
  }

  const guard = ostiaryExpress(p.ostiary);
  const bare = await p.serve(
    createServer((req, res) => {
      guard(req, res, () => {
        res.end(currentGrant().user);
      });
    }),
  );
  assert.equal(await (await post(bare)).text(), "usr_ann");

  const open = new Ostiary({ issuer: p.issuer.url, resourceId, logger: p.log, public: ["/healthz"] });
  t.after(() => open.close());
  const health = express();
  health.use(ostiaryExpress(open), (_, res) => void res.send("ok"));
  const healthURL = await p.serve(createServer(health));
  assert.equal((await fetch(new URL("/healthz", healthURL))).status, 200);
  for (const path of ["/healthz/", "/HEALTHZ", "/healthz/x", "//healthz", "/mcp"]) {
    assert.equal((await fetch(new URL(healthURL).origin + path)).status, 401, path);
  }

  const wrong = express();
  wrong.use(express.json(), ostiaryExpress(p.ostiary), (_, res) => void res.send("reached"));
  let said = "";
  wrong.use((err: Error, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
    said = err.message;
    res.status(500).end();
  });
  assert.equal((await post(await p.serve(createServer(wrong)))).status, 500);
  assert.match(said, /use this middleware first/);
});

test("currentGrant fails where nothing is protected", () => {
  assert.throws(() => currentGrant(), /no protected request/);
});

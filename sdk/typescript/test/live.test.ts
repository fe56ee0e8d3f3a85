// Against the real issuer of this repository, with real keys, a real user who allows, and a real administrator who
// stops.
import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import express from "express";

import { ostiaryExpress } from "../src/express.js";
import { currentGrant, Ostiary, ostiaryFetch } from "../src/index.js";
import { Browser, connect, type Connection, type Page } from "./browser.js";
import { callBody, eventually, listBody } from "./world.js";

const repository = new URL("../../../../", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "ostiary-sdk-"));

/** Another tenant, with a server that reports. JSON is YAML too. */
const neighbour = {
  tenant: { slug: "sdk", name: "SDK" },
  members: [],
  environments: [
    {
      slug: "sdk-live",
      name: "Live",
      kind: "development",
      branding: { product_name: "SDK" },
      organizations: [{ slug: "northwind", name: "Northwind" }],
      users: [
        {
          email: "ann@northwind.example",
          email_verified: true,
          name: "Ann",
          organization: "northwind",
          password: "correct horse battery staple",
        },
      ],
      resources: [
        {
          identifier: "https://sdk.acme.example/mcp",
          name: "SDK",
          credentials: [{ name: "main" }],
          scopes: [{ name: "data:read", risk: "read", baseline: true, title: "Query" }],
          tools: [{ name: "run_query", wording: "Run", scopes: ["data:read"], audited: ["dataset"] }],
        },
      ],
    },
  ],
};

interface Dev {
  dashboard_url: string;
  issuer: string;
  mcp_url: string;
  member: { email: string; password: string };
  user: { email: string; password: string };
}

let dev: Dev;
let issuer: ChildProcess;
let ostiary: Ostiary;
let server: Server;
let url: string;
let stops: Page;
let said = ""; // by the issuer, on standard error
const admin = new Browser();

before(async () => {
  const binary = process.env["OSTIARY_BINARY"] ?? join(folder, "ostiary");
  if (process.env["OSTIARY_BINARY"] === undefined) {
    execFileSync("go", ["build", "-o", binary, "./cmd/ostiary"], { cwd: repository, stdio: "inherit" });
  }
  dev = await startDev(binary);
  await admin.send(await admin.open(dev.dashboard_url), "password", {
    email: dev.member.email,
    password: dev.member.password,
  });
  stops = await admin.open(`${dev.dashboard_url}/environments/acme-dev/stops`);
  const servers = await admin.open(`${dev.dashboard_url}/environments/acme-dev/servers`);
  const [resourceId = ""] = /res_[A-Z2-7]{26}/.exec(servers.text) ?? [];
  assert.notEqual(resourceId, "", servers.text);

  ostiary = new Ostiary({ issuer: dev.issuer, resourceId });
  const app = express();
  app.use(ostiaryExpress(ostiary));
  app.get("/mcp", (_req, res) => {
    res.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: open\n\n");
  });
  app.use((req, res) => {
    const { id, method } = req.body as { id: number; method: string };
    const tools = ["run_query", "route_signal", "delete_segment", "never_mapped"].map((name) => ({
      name,
      inputSchema: { type: "object" },
    }));
    const result = method === "tools/list" ? { tools } : { content: [{ type: "text", text: currentGrant().user }] };
    res.json({ jsonrpc: "2.0", id, result });
  });
  server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  await ostiary.ready();
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await ostiary.close();
  const gone = new Promise((resolve) => issuer.once("exit", resolve));
  issuer.kill("SIGINT");
  await gone;
  rmSync(folder, { recursive: true, force: true });
});

/** Starts an Ostiary of its own; the first line it prints says where everything is. */
async function startDev(binary: string): Promise<Dev> {
  const data = join(folder, "data");
  mkdirSync(data, { mode: 0o711 }); // as root Postgres runs as somebody else, who must be able to pass
  chmodSync(folder, 0o711);
  const tenant = join(folder, "tenant.json");
  writeFileSync(tenant, JSON.stringify(neighbour));
  const options = ["dev", "--json", "--port", "0", "--mcp-port", "0", "--data-dir", data, "--apply", tenant];
  issuer = spawn(binary, options, { stdio: ["ignore", "pipe", "pipe"] });
  issuer.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  assert.ok(issuer.stdout);
  for await (const line of createInterface({ input: issuer.stdout })) {
    return JSON.parse(line) as Dev;
  }
  throw new Error(`ostiary dev did not start:\n${said}`);
}

function allow(...scopes: string[]): Promise<Connection> {
  return connect({ issuer: dev.issuer, resource: dev.mcp_url, ...dev.user, scopes });
}

async function post(token: string, body: string): Promise<{ status: number; text: string; challenge: string | null }> {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body });
  return { status: answer.status, text: await answer.text(), challenge: answer.headers.get("www-authenticate") };
}

/** Waits until something bites and says after how long. */
async function within5s(what: string, bites: () => Promise<boolean>): Promise<void> {
  const start = performance.now();
  await eventually(what, bites);
  const seconds = (performance.now() - start) / 1000;
  assert.ok(seconds < 5, `${what} after ${seconds.toFixed(1)} s`);
}

test("the metadata names the issuer, byte for byte", async () => {
  const metadata = new URL("/.well-known/oauth-protected-resource/mcp", url);
  const { resource, authorization_servers: issuers } = (await (await fetch(metadata)).json()) as {
    resource: string;
    authorization_servers: string[];
  };
  assert.equal(resource, dev.mcp_url);
  assert.deepEqual(issuers, [dev.issuer]);
});

test("a user's permissions open tools, no others, and are listed", async () => {
  const { token } = await allow("data:read", "signals:write");
  const call = await post(token, callBody(1, "run_query"));
  assert.equal(call.status, 200, call.text);
  assert.match(call.text, /usr_[A-Z2-7]{26}/);
  const listed = JSON.parse((await post(token, listBody)).text) as { result: { tools: { name: string }[] } };
  assert.deepEqual(
    listed.result.tools.map((t) => t.name),
    ["run_query", "route_signal"],
  );
  const denied = await post(token, callBody(1, "delete_segment"));
  assert.equal(denied.status, 403);
  assert.match(denied.challenge ?? "", /scope="segments:delete"/);
  assert.match((await post(token, callBody(1, "never_mapped"))).text, /-32602/);
});

test("a token of the same issuer for another resource is refused", async () => {
  const { token } = await allow("data:read");
  const [, payload = ""] = token.split(".");
  assert.equal((JSON.parse(Buffer.from(payload, "base64url").toString()) as { aud: unknown }).aud, dev.mcp_url);
  const elsewhere = new Ostiary({
    issuer: dev.issuer,
    resourceId: ostiary.settings.resourceId,
    policy: {
      ...ostiary.view().doc,
      resource: { ...ostiary.view().doc.resource, identifier: "https://elsewhere.example/mcp" },
    },
  });
  await assert.rejects(elsewhere.verify(token), /for another resource/);
  await elsewhere.close();
});

test("what a user takes back ends within seconds, open streams too", async () => {
  const connection = await allow("data:read");
  const neighbour = await allow("data:read");
  assert.equal((await post(connection.token, callBody(1, "run_query"))).status, 200);
  const stream = await fetch(url, {
    headers: { Authorization: `Bearer ${connection.token}`, Accept: "text/event-stream" },
  });
  let ended = false;
  const reading = stream.text().then(
    () => {
      ended = true;
    },
    () => {
      ended = true;
    },
  );
  await connection.revoke();
  await within5s(
    "the revocation bites",
    async () => (await post(connection.token, callBody(1, "run_query"))).status === 401,
  );
  await within5s("the stream ends", () => Promise.resolve(ended));
  await reading;
  assert.equal((await post(neighbour.token, callBody(1, "run_query"))).status, 200);
});

test("what an administrator stops is stopped within seconds, and works again once lifted", async () => {
  const { token } = await allow("data:read", "signals:write");
  assert.equal((await post(token, callBody(1, "run_query"))).status, 200);
  const action = `${new URL(stops.url).origin}/environments/acme-dev/stops`;
  const { resourceId } = ostiary.settings;
  await admin.open(
    action,
    new URLSearchParams({ kind: "tool", server: resourceId, value: "run_query", reason: "test" }),
  );
  await within5s("the stop bites", async () => (await post(token, callBody(1, "run_query"))).text.includes("-32013"));
  assert.equal((await post(token, callBody(1, "route_signal"))).status, 200);
  assert.doesNotMatch((await post(token, listBody)).text, /run_query/);
  const list = await admin.open(action);
  const lift = /action="([^"]*\/stops\/stp_[^"]*\/lift)"/.exec(list.text)?.[1] ?? "";
  await admin.open(new URL(lift, list.url).href, new URLSearchParams());
  await within5s("it works again", async () => !(await post(token, callBody(1, "run_query"))).text.includes("-32013"));
});

test("calls are reported, and kept; tokens of another tenant are nobody's", async () => {
  const [, id = "", secret = ""] = /Credential of .*: (rcr_\S+), .*: (ors_\S+)/.exec(said) ?? [];
  const [resourceId = ""] = /res_[A-Z2-7]{26}/.exec(said) ?? [];
  const receipts: string[] = [];
  const reporting = new Ostiary({
    issuer: dev.issuer.replace("acme-dev", "sdk-live"),
    resourceId,
    report: { credential: { id, secret } },
    fetch: async (address, init) => {
      const answer = await fetch(address, init);
      if (init?.method === "POST") {
        receipts.push(`${answer.status} ${await answer.clone().text()}`);
      }
      return answer;
    },
  });
  const handle = ostiaryFetch(() => Response.json({ jsonrpc: "2.0", id: 1, result: {} }), reporting);
  const ask = async (token: string, body: string): Promise<number> => {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    return (await handle(new Request("https://sdk.acme.example/mcp", { method: "POST", headers, body }))).status;
  };
  const { issuer: where } = reporting.settings;
  const [{ email, password } = { email: "", password: "" }] = neighbour.environments[0]?.users ?? [];
  const ann = await connect({
    issuer: where,
    resource: "https://sdk.acme.example/mcp",
    email,
    password,
    scopes: ["data:read"],
  });
  assert.equal(await ask(ann.token, callBody(1, "run_query", { dataset: "accounts", secret: "x" })), 200);
  assert.equal(await ask(ann.token, callBody(2, "never_mapped")), 200);
  assert.equal(await ask((await allow("data:read")).token, callBody(3, "run_query")), 401);
  await reporting.close();
  assert.deepEqual(
    receipts.map((r) => r.trim()),
    ['200 {"accepted":2}'],
  );
});

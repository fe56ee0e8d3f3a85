import { createHmac, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { CompactSign, exportJWK, generateKeyPair, type CryptoKey, type JWK } from "jose";

import type { PolicyDocument } from "../src/policy/document.js";
import type { Feed } from "../src/policy/feed.js";

export const resourceId = "res_acme";

/** The wall clock with an offset that a test moves. */
export class Clock {
  offset = 0;
  now = (): number => Date.now() + this.offset;
  advance(seconds: number): void {
    this.offset += seconds * 1000;
  }
  get seconds(): number {
    return Math.floor(this.now() / 1000);
  }
}

/** A key pair under a kid. */
export class Signer {
  readonly kid: string;
  readonly alg: string;
  readonly key: CryptoKey;
  readonly jwk: JWK;

  constructor(kid: string, alg: string, key: CryptoKey, jwk: JWK) {
    this.kid = kid;
    this.alg = alg;
    this.key = key;
    this.jwk = jwk;
  }

  static async make(kid: string, alg = "ES256"): Promise<Signer> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    return new Signer(kid, alg, privateKey, { ...(await exportJWK(publicKey)), kid, alg, use: "sig" });
  }

  /** Makes a compact JWS with the given header members on top of alg and kid. */
  sign(payload: unknown, header: Record<string, unknown>): Promise<string> {
    const raw = typeof payload === "string" ? payload : JSON.stringify(payload);
    return new CompactSign(Buffer.from(raw))
      .setProtectedHeader({ alg: this.alg, kid: this.kid, ...header })
      .sign(this.key);
  }

  /** The classic confusion: the public key, as everybody can fetch it, used as an HMAC secret. */
  hmac(payload: unknown): string {
    const head =
      b64(JSON.stringify({ alg: "HS256", typ: "at+jwt", kid: this.kid })) + "." + b64(JSON.stringify(payload));
    return head + "." + createHmac("sha256", JSON.stringify(this.jwk)).update(head).digest("base64url");
  }
}

export function b64(s: string): string {
  return Buffer.from(s).toString("base64url");
}

/** A policy with one tool of each kind. */
export function testDocument(identifier = "https://mcp.acme.example/mcp", ...aliases: string[]): PolicyDocument {
  const all = (...scopes: string[]): { scopes: string[]; match: string } => ({ scopes, match: "all" });
  return {
    revision: 1,
    mode: "enforce",
    resource: { id: resourceId, identifier, aliases, name: "Acme Data" },
    scopes: {
      "data:read": { risk: "read", title: "read data", baseline: true, position: 1 },
      "data:list": { risk: "read", title: "list data", baseline: true, position: 2 },
      "data:write": { risk: "write", title: "change data", position: 3 },
      "data:delete": { risk: "destructive", title: "delete data", position: 4 },
      "data:admin": { risk: "destructive", title: "manage data", implies: ["data:write", "data:delete"] },
    },
    tools: {
      read_data: { ...all("data:read"), audited: ["dataset"] },
      write_data: all("data:write"),
      delete_data: all("data:delete"),
      merge_data: all("data:read", "data:write"),
      wait: all("data:read"),
      unmapped: {},
    },
  };
}

type Override = (req: IncomingMessage, res: ServerResponse) => boolean;

/** The other end of the network: an authorization server that signs tokens, policies and feeds. */
export class TestIssuer {
  readonly clock = new Clock();
  readonly fetches = new Map<string, number>();
  readonly reports: { authorization: string | undefined; body: string }[] = [];
  keys: Signer[] = [];
  doc = testDocument();
  feed: Feed = { seq: 1, revision: 1, ended: {} };
  spoilPolicy: ((bundle: Record<string, unknown>) => void) | undefined;
  policyType = "ostiary-policy+jwt";
  policyKey: Signer | undefined;
  spoilFeed: ((bundle: Record<string, unknown>) => void) | undefined;
  feedType = "ostiary-revocations+jwt";
  streams = true;
  meta: ((m: Record<string, unknown>) => void) | undefined;
  override: Override | undefined;
  url = "";
  readonly #server: Server = createServer((req, res) => void this.#serve(req, res));
  readonly #waiting = new Set<() => void>();
  readonly open = new Set<ServerResponse>();

  static async start(): Promise<TestIssuer> {
    const issuer = new TestIssuer();
    issuer.keys = [await Signer.make("key-1")];
    await new Promise<void>((resolve) => issuer.#server.listen(0, "127.0.0.1", resolve));
    issuer.url = `http://127.0.0.1:${(issuer.#server.address() as AddressInfo).port}/i/acme`;
    return issuer;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get signer(): Signer {
    const [first] = this.keys;
    if (first === undefined) {
      throw new Error("no key");
    }
    return first;
  }

  fetched(path: string): number {
    return this.fetches.get(path) ?? 0;
  }

  /** Puts an edited copy of the policy in force under the next revision. */
  publish(edit: (doc: PolicyDocument) => void): void {
    const next = structuredClone(this.doc);
    next.revision++;
    edit(next);
    this.doc = next;
    this.change({ revision: next.revision });
  }

  /** Changes the feed under the next sequence and tells those who wait. */
  change(edit: Partial<Feed>): void {
    this.feed = { ...this.feed, ...edit, seq: edit.seq ?? this.feed.seq + 1 };
    this.tell();
  }

  tell(): void {
    for (const wake of [...this.#waiting]) {
      wake();
    }
  }

  /** Makes every request fail, and open streams end, until the returned function is called. */
  goDown(): () => void {
    this.override = (_, res) => {
      res.writeHead(502).end();
      return true;
    };
    this.open.forEach((res) => res.destroy());
    return () => {
      this.override = undefined;
    };
  }

  claims(scope: string): Record<string, unknown> {
    const now = this.clock.seconds;
    return {
      iss: this.url,
      sub: "usr_ann",
      aud: this.doc.resource.identifier,
      iat: now,
      exp: now + 3600,
      jti: randomUUID(),
      client_id: "cli_claude",
      scope,
      grant_id: "grt_1",
      org_id: "org_globex",
    };
  }

  /** Signs a good token, changed by edits; undefined removes a claim. */
  token(scope: string, edits: Record<string, unknown> = {}, key = this.signer): Promise<string> {
    return key.sign({ ...this.claims(scope), ...edits }, { typ: "at+jwt" });
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = (req.url ?? "").split("?", 1)[0] ?? "";
    this.fetches.set(path, this.fetched(path) + 1);
    if (this.override?.(req, res) === true) {
      return;
    }
    const json = (body: unknown): void =>
      void res.setHeader("Content-Type", "application/json").end(JSON.stringify(body));
    switch (path) {
      case "/.well-known/oauth-authorization-server/i/acme": {
        const meta: Record<string, unknown> = { issuer: this.url, jwks_uri: this.url + "/jwks" };
        this.meta?.(meta);
        json(meta);
        return;
      }
      case "/i/acme/jwks":
        json({ keys: this.keys.map((k) => k.jwk) });
        return;
      case `/i/acme/resources/${resourceId}/policy`:
        await this.#servePolicy(req, res);
        return;
      case `/i/acme/resources/${resourceId}/revocations`:
        await this.#serveFeed(req, res);
        return;
      case `/i/acme/resources/${resourceId}/calls`:
        this.reports.push({ authorization: req.headers.authorization, body: await bodyOf(req) });
        json({ accepted: 1 });
        return;
      default:
        res.writeHead(404).end();
    }
  }

  async #servePolicy(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const etag = `"${this.doc.revision}"`;
    if (this.spoilPolicy === undefined && req.headers["if-none-match"] === etag) {
      res.writeHead(304).end();
      return;
    }
    const now = this.clock.seconds;
    const bundle: Record<string, unknown> = {
      iss: this.url,
      sub: resourceId,
      iat: now,
      exp: now + 3600,
      policy: structuredClone(this.doc),
    };
    this.spoilPolicy?.(bundle);
    const compact = await (this.policyKey ?? this.signer).sign(bundle, { typ: this.policyType });
    res.writeHead(200, { "Content-Type": "application/jwt", ETag: etag }).end(compact);
  }

  signedFeed(): Promise<string> {
    const now = this.clock.seconds;
    const bundle: Record<string, unknown> = {
      iss: this.url,
      sub: resourceId,
      iat: now,
      exp: now + 120,
      feed: structuredClone(this.feed),
    };
    this.spoilFeed?.(bundle);
    return this.signer.sign(bundle, { typ: this.feedType });
  }

  async #serveFeed(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (this.streams && req.headers.accept === "text/event-stream") {
      res.writeHead(200, { "Content-Type": "text/event-stream" });
      this.open.add(res);
      const send = async (): Promise<void> => {
        const { seq } = this.feed;
        res.write(`id: ${seq}\nevent: feed\ndata: ${await this.signedFeed()}\n\n`);
      };
      const wake = (): void => void send();
      this.#waiting.add(wake);
      res.once("close", () => {
        this.#waiting.delete(wake);
        this.open.delete(res);
      });
      if (req.headers["last-event-id"] === String(this.feed.seq)) {
        res.flushHeaders();
      } else {
        await send();
      }
      return;
    }
    const query = new URL(req.url ?? "", "http://x").searchParams;
    if (query.has("wait") && Number(query.get("after")) >= this.feed.seq) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
        res.once("close", wake);
      });
    }
    res.writeHead(200, { "Content-Type": "application/jwt", "Cache-Control": "no-store" }).end(await this.signedFeed());
  }
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

import type { IncomingMessage, ServerResponse } from "node:http";

import { Refusal, rpc, type Answer } from "./answer.js";
import { Guard } from "./guard.js";
import { isStripped, Passage } from "./passage.js";
import type { Incoming } from "./request.js";
import { authInfoOf, withGrant, type AuthInfo } from "./grant.js";
import { guardResponse } from "./nodeResponse.js";
import { Ostiary } from "./ostiary.js";
import type { OstiaryOptions } from "./options.js";
import type { Grant } from "./token.js";

/** What the middleware leaves on a request it has let through. */
export interface GuardedRequest extends IncomingMessage {
  /** Who calls. */
  grant?: Grant;
  /** The same for the official MCP SDK, whose transports hand it to tools as `authInfo`. */
  auth?: AuthInfo;
  /** The parsed body. The stream can be read as well. */
  body?: unknown;
  originalUrl?: string;
}

/** Middleware in the form of Express and connect, which node:http can call too. */
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: (err?: unknown) => void) => void;

/**
 * Protects what comes below it: `app.use(ostiaryExpress({ issuer, resourceId }))`, or on both the MCP endpoint and
 * `/.well-known/oauth-protected-resource`. Use it before anything that reads the body, `express.json()` among it.
 */
export function ostiaryExpress(options: Ostiary | OstiaryOptions): Middleware {
  const ostiary = options instanceof Ostiary ? options : new Ostiary(options);
  const guard = new Guard(ostiary);
  return (req, res, next) => {
    void handle(ostiary, guard, req, res, next).catch(next);
  };
}

async function handle(
  ostiary: Ostiary,
  guard: Guard,
  req: GuardedRequest,
  res: ServerResponse,
  next: (err?: unknown) => void,
): Promise<void> {
  const decided = await guard.decide(incoming(req, ostiary.settings));
  if (decided === "public") {
    next();
    return;
  }
  if (!(decided instanceof Passage)) {
    send(req, res, decided);
    return;
  }
  strip(req, decided.keeps !== undefined);
  req.grant = decided.grant;
  req.auth = authInfoOf(decided.grant, ostiary.view().resource);
  if (decided.bytes !== undefined && decided.body !== undefined) {
    req.body = JSON.parse(decided.body.text) as unknown;
    res.once("close", () => void req.resume());
  }
  guardResponse(res, decided);
  withGrant(req, decided.grant, () => {
    next();
  });
}

function incoming(req: GuardedRequest, limits: { maxBody: number; bodyTimeout: number }): Incoming {
  const [path, query] = cut(req.originalUrl ?? req.url ?? "");
  return {
    method: req.method ?? "GET",
    host: req.headers.host ?? "",
    path,
    query,
    values: (name) => req.headersDistinct[name] ?? [],
    hasBody: (req.headers["content-length"] ?? "0") !== "0" || req.headers["transfer-encoding"] !== undefined,
    read: () => readBody(req, limits),
  };
}

/** Path and query of a request target, in whatever form it came. */
function cut(target: string): [string, string] {
  const local = target.startsWith("/") ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "");
  const at = local.indexOf("?");
  return at < 0 ? [local, ""] : [local.slice(0, at), local.slice(at + 1)];
}

/**
 * Reads a body of bounded size from a client that may be slow on purpose, and puts it back: whoever comes next can
 * read the stream as if nobody had.
 */
function readBody(
  req: IncomingMessage,
  { maxBody, bodyTimeout }: { maxBody: number; bodyTimeout: number },
): Promise<Buffer> {
  if (req.readableDidRead || req.readableEnded) {
    throw new Error("ostiary: the body was read before; use this middleware first");
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (refusal?: Refusal): void => {
      clearTimeout(timer);
      req.off("readable", read).off("error", broken).off("aborted", broken).off("close", broken);
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      const whole = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
      if (whole.length > 0) {
        req.unshift(whole); // now: a moment later the stream has ended
      }
      resolve(whole);
    };
    const broken = (): void => {
      finish(new Refusal(400, rpc.invalidRequest, "the body did not arrive whole"));
    };
    const read = (): void => {
      for (let chunk = req.read() as Buffer | null; chunk !== null; chunk = req.read() as Buffer | null) {
        chunks.push(chunk);
        size += chunk.length;
        if (size > maxBody) {
          finish(new Refusal(413, rpc.invalidRequest, "the body is too large"));
          return;
        }
      }
      if (req.complete) {
        finish();
      }
    };
    const timer = setTimeout(() => {
      finish(new Refusal(408, rpc.invalidRequest, "the body took too long"));
    }, bodyTimeout);
    if (Number(req.headers["content-length"] ?? 0) > maxBody) {
      finish(new Refusal(413, rpc.invalidRequest, "the body is too large"));
      return;
    }
    req.on("readable", read).on("error", broken).on("aborted", broken).on("close", broken);
    read();
  });
}

/** Takes away what a client must not be able to say to the server, wherever node keeps it. */
function strip(req: IncomingMessage, filters: boolean): void {
  const goes = (name: string): boolean => isStripped(name) || (filters && name.toLowerCase() === "accept-encoding");
  req.trailers = {};
  req.rawTrailers = [];
  const raw = req.rawHeaders;
  req.rawHeaders = raw.filter((_, i) => !goes(raw[i - (i % 2)] ?? ""));
  for (const headers of [req.headers, req.headersDistinct]) {
    for (const name of Object.keys(headers)) {
      if (goes(name)) {
        Reflect.deleteProperty(headers, name);
      }
    }
  }
}

function send(req: IncomingMessage, res: ServerResponse, answer: Answer): void {
  if (res.headersSent || res.destroyed) {
    return; // the client is gone
  }
  for (const [name, value] of Object.entries(answer.headers)) {
    res.setHeader(name, value);
  }
  if (!req.complete) {
    res.setHeader("Connection", "close"); // rather than reading what nobody wants
  }
  res.statusCode = answer.status;
  res.end(req.method === "HEAD" ? undefined : answer.body);
}

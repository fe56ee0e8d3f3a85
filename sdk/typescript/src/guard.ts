import { guardHeaders, methodNotAllowed, preflight, Refusal, type Answer } from "./answer.js";
import { shortened } from "./challenge.js";
import {
  denialOf, revoked, sessionNotFound, stoppedSubject, tokenInQuery, unauthorized, unavailable, type Called,
} from "./denial.js";
import { checkMirror, hasMethod, inspect, onlyID, type Body } from "./inspect.js";
import { KeysUnavailable } from "./issuer/keys.js";
import type { Keeps } from "./listFilter.js";
import { reasonOf } from "./log.js";
import { NotReady, type Ostiary } from "./ostiary.js";
import type { Situation } from "./policy/judge.js";
import { auditedArguments, newCallID, recordedName, type CallRecord } from "./record.js";
import type { View } from "./site.js";
import { TokenError, type Grant } from "./token.js";
import { judgeBody, type Verdict } from "./verdict.js";

/** A request as the guard judges it, whatever framework it came through. */
export interface Incoming extends Called {
  readonly method: string;
  /** Raw, without the question mark. */
  readonly query: string;
  /** Every value of a header. */
  values(name: string): readonly string[];
  /** Whether there is a body, or may be. */
  readonly hasBody: boolean;
  /** Reads the body, or throws a Refusal. */
  read(): Promise<Uint8Array>;
}

/** A request that may go on. */
export class Passage {
  readonly grant: Grant;
  /** The body as it came; undefined for methods without one. */
  readonly bytes: Uint8Array | undefined;
  readonly body: Body | undefined;
  /** What lists in the answer may name; undefined when the answer holds none. */
  readonly keeps: Keeps | undefined;
  /** Whether the answer may be a list in plain JSON; in answers to GET lists are in event streams only. */
  readonly isPost: boolean;
  readonly #ostiary: Ostiary;
  readonly #report: (status: number) => void;
  readonly #endedAnswer: () => Answer;
  #reported = false;

  constructor(
    ostiary: Ostiary, o: Pick<Passage, "grant" | "bytes" | "body" | "keeps" | "isPost" | "endedAnswer">,
    report: (status: number) => void,
  ) {
    this.grant = o.grant;
    this.bytes = o.bytes;
    this.body = o.body;
    this.keeps = o.keeps;
    this.isPost = o.isPost;
    this.#endedAnswer = o.endedAnswer;
    this.#ostiary = ostiary;
    this.#report = report;
  }

  /** The id of the only message, for error answers. */
  get id(): string | undefined {
    return this.body === undefined ? undefined : onlyID(this.body);
  }

  /** Notes that the answer begins: whose session it names, and that the calls were answered. */
  begins(status: number, session: string | undefined): void {
    this.#ostiary.sessions.note(session, this.grant);
    this.report(status);
  }

  /** Reports the calls, once. 0 says that there was no answer. */
  report(status: number): void {
    if (!this.#reported) {
      this.#reported = true;
      this.#report(status);
    }
  }

  /** Calls ended once the grant is revoked or stopped. Returns what takes that back. */
  onEnded(ended: () => void): () => void {
    return this.#ostiary.onEnded(this.grant, ended);
  }

  /** The answer to a request whose grant ended before there was one. */
  endedAnswer(): Answer {
    return this.#endedAnswer();
  }

  /** Says that a list was withheld. */
  withheld(e: unknown): void {
    this.#ostiary.log.error("a list could not be filtered and was withheld", { error: reasonOf(e) });
  }
}

/** What was decided about one request. */
interface Outcome {
  readonly view: View;
  readonly now: Situation;
  readonly began: number;
  readonly grant: Grant;
  readonly body: Body | undefined;
  readonly verdict: Verdict;
}

/** Decides about requests. It touches no network but for the key of a token that is not among those in memory. */
export class Guard {
  readonly #ostiary: Ostiary;

  constructor(ostiary: Ostiary) {
    this.#ostiary = ostiary;
  }

  /** Judges a request: cheap and anonymous checks come first, then who it is, then what is asked for. */
  async decide(r: Incoming): Promise<Answer | Passage | "public"> {
    const o = this.#ostiary;
    if (o.settings.public.includes(r.path)) {
      return "public";
    }
    if (!o.isReady) {
      try {
        await o.ready();
      } catch {
        return unavailable();
      }
    }
    const known = o.view().wellKnown(r.method, r.host, r.path, r.values("access-control-request-headers").join(","));
    if (known !== undefined) {
      return known;
    }
    switch (r.method) {
      case "GET":
      case "HEAD":
      case "POST":
      case "DELETE":
        return this.#decide(r);
      case "OPTIONS":
        return preflight(r.values("access-control-request-headers").join(","));
      default:
        return methodNotAllowed();
    }
  }

  async #decide(r: Incoming): Promise<Answer | Passage> {
    const o = this.#ostiary;
    const began = performance.now();
    const grant = await this.#authenticate(r, o.view());
    if ("status" in grant) {
      return grant;
    }
    const { bytes, body, refusal } = await read(r);
    const view = o.view(); // reading may have taken a while
    const now = o.situation();
    const outcome: Outcome = { view, now, began, grant, body, verdict: judgeBody(view, body, grant, o.granted(grant, view), now) };
    const denial = this.#denial(r, outcome, refusal);
    this.#logDenied(outcome);
    if (denial !== undefined) {
      this.#report(r.method, outcome, denial.status);
      return denial;
    }
    const keeps = this.#keepsFor(r.method, outcome);
    const endedAnswer = (): Answer => (o.refuses(grant) === "stopped" ? stoppedSubject(body) : revoked(o.view(), r));
    return new Passage(o, { grant, bytes, body, keeps, isPost: r.method === "POST", endedAnswer }, (status) => {
      this.#report(r.method, outcome, status);
    });
  }

  #denial(r: Incoming, o: Outcome, refusal: Refusal | undefined): Answer | undefined {
    if (o.verdict.refused === "revoked") { // before anything about the body: the client needs a new token anyway
      return revoked(o.view, r);
    }
    if (refusal !== undefined) {
      this.#ostiary.log.info("request refused", { reason: refusal.message });
      return refusal.answer();
    }
    if (o.verdict.refused === "stopped") {
      return stoppedSubject(o.body);
    }
    const id = o.body === undefined ? undefined : onlyID(o.body);
    return (
      denialOf(o.view, r, o.body, o.grant, o.verdict) ??
      (this.#ostiary.sessions.admits(r.values("mcp-session-id"), o.grant) ? undefined : sessionNotFound(id))
    );
  }

  /** Says who asks, or how to answer when there is no good token. */
  async #authenticate(r: Incoming, view: View): Promise<Grant | Answer> {
    if (hasTokenInQuery(r.query)) {
      return tokenInQuery();
    }
    try {
      const token = bearer(r.values("authorization"));
      return token === undefined ? unauthorized(view, r) : await this.#ostiary.authenticate(token);
    } catch (e) {
      if (e instanceof TokenError) {
        this.#ostiary.log.info("access token refused", { reason: e.message });
        return unauthorized(view, r, e.message);
      }
      if (e instanceof KeysUnavailable || e instanceof NotReady) {
        this.#ostiary.log.error("access token could not be checked", { error: reasonOf(e) });
        return unavailable();
      }
      throw e;
    }
  }

  /** What lists in the answer may name: by what is in force when they are written, since a stream outlives it. */
  #keepsFor(method: string, o: Outcome): Keeps | undefined {
    const { view, now, grant, body } = o;
    if (view.shadow && !now.feed.stopsAnything) {
      return undefined;
    }
    const listsContents = view.rules.guards("content");
    const kinds = new Set(["tool", ...(view.rules.guards("prompt") ? ["prompt"] : []), ...(listsContents ? ["content"] : [])]);
    if (method === "POST") {
      const listed = body === undefined ? [] : listedKinds(body);
      [...kinds].filter((kind) => !listed.includes(kind)).forEach((kind) => kinds.delete(kind));
    }
    // GET streams replay what was lost, lists among it.
    if (kinds.size === 0 || (method !== "POST" && method !== "GET")) {
      return undefined;
    }
    return (target) => !kinds.has(target.kind) || this.#keeps(target, grant);
  }

  #keeps(target: Parameters<Keeps>[0], grant: Grant): boolean {
    const { allowed, reason } = this.#ostiary.judge(target, grant);
    if (reason === "unknown_tool" || reason === "unmapped_tool") {
      this.#ostiary.flag(target, reason);
    }
    return allowed || (this.#ostiary.view().shadow && reason !== "stopped"); // in shadow mode only what is stopped is left out
  }

  /**
   * Hands every decided call on, once it is known how the request was answered. Who asks for nothing the policy
   * decides about is reported only when refused.
   */
  #report(method: string, o: Outcome, status: number): void {
    const { grant, verdict, body } = o;
    const base = (): Omit<CallRecord, "kind" | "tool" | "reason" | "allowed"> => ({
      id: newCallID(), at: new Date(this.#ostiary.settings.now()).toISOString(), user: grant.user,
      ...(grant.organization !== undefined && { org: grant.organization }),
      client: grant.client,
      ...(grant.host !== undefined && { host: grant.host }),
      ...(grant.grantId !== undefined && { grant: grant.grantId }),
      proof: "token", scopes: grant.scopes, revision: o.view.doc.revision, seq: o.now.feed.sequence,
      silence: Math.max(Math.trunc(Math.min(o.now.silence, Number.MAX_SAFE_INTEGER)), 0),
      status, latency_us: Math.round((performance.now() - o.began) * 1000),
    });
    for (const { message, target, decision, denied } of verdict.calls) {
      const m = body?.messages[message];
      if (m === undefined || (m.method === "completion/complete" && decision.allowed)) {
        continue; // of completions there is one per keystroke
      }
      this.#ostiary.record(() => {
        const args = auditedArguments(o.view.doc, target, m);
        return {
          ...base(), kind: target.kind, tool: recordedName(target.name), allowed: !denied, reason: decision.reason,
          ...(!denied && !decision.allowed && { shadowed: true }),
          ...(decision.missing.length > 0 && { missing: decision.missing }),
          ...(args !== undefined && { arguments: args }),
        };
      });
    }
    const { refused } = verdict;
    if (verdict.calls.length === 0 && refused !== undefined) {
      const tool = recordedName(body?.messages[0]?.method || method);
      this.#ostiary.record(() => ({ ...base(), kind: "request", tool, allowed: false, reason: refused }));
    }
  }

  /** Tells the operator what was denied, or would have been. */
  #logDenied(o: Outcome): void {
    const { grant, verdict } = o;
    const who = { user: grant.user, client: grant.client, grant: grant.grantId };
    if (verdict.refused !== undefined) {
      this.#ostiary.log.info("request denied", { reason: verdict.refused, ...who, sequence: o.now.feed.sequence });
      return;
    }
    for (const { target, decision, denied } of verdict.calls) {
      if (decision.allowed) {
        continue;
      }
      const facts = {
        kind: target.kind, name: shortened(target.name), reason: decision.reason, missing: decision.missing, ...who,
        revision: o.view.doc.revision,
      };
      const message = denied ? "call denied" : "call would be denied";
      // An unmapped tool: the tenant has it and has not said who may call it.
      this.#ostiary.log[decision.reason === "unmapped_tool" ? "warn" : "info"](message, facts);
    }
  }
}

/** Reads what a request asks for. Only POST has a body. */
async function read(r: Incoming): Promise<{ bytes?: Uint8Array; body?: Body; refusal?: Refusal }> {
  try {
    if (r.method !== "POST") {
      if (r.hasBody) { // only for a server that reads a body where it should not
        throw new Refusal(400, -32600, `${r.method} has no body`);
      }
      return {};
    }
    if (!isJSON(r)) {
      throw new Refusal(415, -32600, "the body must be application/json, UTF-8, without content encoding");
    }
    const bytes = await r.read();
    const body = inspect(bytes);
    checkMirror(r.values("mcp-method"), r.values("mcp-name"), body);
    return { bytes, body };
  } catch (e) {
    if (e instanceof Refusal) {
      return { refusal: e };
    }
    throw e;
  }
}

/** Holds the body to what the inspection reads: another charset or a content encoding would hide it. */
function isJSON(r: Incoming): boolean {
  const types = r.values("content-type");
  const [, params] = mediaType.exec(types[0] ?? "") ?? [];
  const charsets = [...(params ?? "").matchAll(/;\s*charset\s*=\s*"?([^\s;"]*)/gi)].map((m) => m[1]?.toLowerCase());
  const isPlain = params !== undefined && charsets.length <= 1 && charsets.every((c) => c === "utf-8");
  const encodings = r.values("content-encoding").every((e) => e === "" || e.toLowerCase() === "identity");
  return types.length === 1 && isPlain && encodings;
}

// RFC 9110 §8.3.1, parameters in any form.
const mediaType = /^\s*application\/json\s*((?:;\s*(?:[\w!#$%&'*+.^`|~-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+)\s*)?)*)$/i;

function listedKinds(body: Body): string[] {
  return [
    ...(hasMethod(body, "tools/list") ? ["tool"] : []),
    ...(hasMethod(body, "prompts/list") ? ["prompt"] : []),
    ...(hasMethod(body, "resources/list", "resources/templates/list") ? ["content"] : []),
  ];
}

/** Finds an access token where none may be (RFC 6750 §2.3, forbidden by MCP), however it is spelled. */
function hasTokenInQuery(query: string): boolean {
  if (query === "") {
    return false;
  }
  return query.split(/[&;]/).some((pair) => {
    const key = (pair.split("=", 1)[0] ?? "").replaceAll("+", " ");
    let plain = key;
    try {
      plain = decodeURIComponent(key);
    } catch {
      // not a spelling any server would read as the token's name
    }
    return plain.trim().toLowerCase() === "access_token";
  });
}

/** Takes the token out of the Authorization headers; undefined when none was presented. Throws a TokenError. */
function bearer(values: readonly string[]): string | undefined {
  const [value] = values;
  if (value === undefined) {
    return undefined;
  }
  const [, scheme = "", rest = ""] = /^(\S*)(?: +(.*))?$/s.exec(value.trim()) ?? [];
  if (values.length === 1 && scheme.toLowerCase() !== "bearer") {
    return undefined;
  }
  if (values.length > 1 || rest === "" || /[ \t,]/.test(rest)) { // RFC 6750 §2: one method, once
    throw new TokenError("The access token is not valid");
  }
  return rest;
}

/** Headers every answer gets, whoever makes it; those of an event stream say that nobody may hold it back. */
export function answerHeaders(contentType: string): Record<string, string> {
  return isEventStream(contentType)
    ? { ...guardHeaders, "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no" }
    : guardHeaders;
}

/** Says whether a media type is that of server-sent events. */
export function isEventStream(contentType: string): boolean {
  return /^\s*text\/event-stream\s*(?:;|$)/i.test(contentType);
}

/**
 * Says whether a client must not be able to say a header to the MCP server: its token (MCP forbids passing it on),
 * identity headers, a second HTTP method, a protocol switch past the inspection. Names with an underscore go too: to
 * some servers they are those with a hyphen.
 */
export function isStripped(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith("ostiary-") || lower.includes("_") || stripped.has(lower);
}

const stripped = new Set([
  "authorization", "proxy-authorization", "connection", "upgrade", "http2-settings", "origin", "x-http-method",
  "x-http-method-override", "x-method-override",
]);

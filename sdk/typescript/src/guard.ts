import { methodNotAllowed, preflight, type Answer, type Refusal } from "./answer.js";
import { shortened } from "./challenge.js";
import {
  denialOf,
  revoked,
  sessionNotFound,
  stoppedSubject,
  tokenInQuery,
  unauthorized,
  unavailable,
} from "./denial.js";
import { hasMethod, onlyID, type Body } from "./inspect.js";
import { KeysUnavailable } from "./issuer/keys.js";
import type { Keeps } from "./listFilter.js";
import { reasonOf } from "./log.js";
import { NotReady, type Ostiary } from "./ostiary.js";
import { Passage } from "./passage.js";
import type { Situation } from "./policy/judge.js";
import { auditedArguments, newCallID, recordedName, type CallRecord } from "./record.js";
import { bearer, hasTokenInQuery, readRequest, type Incoming } from "./request.js";
import type { View } from "./site.js";
import { TokenError, type Grant } from "./token.js";
import { judgeBody, type Verdict } from "./verdict.js";

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
    const { bytes, body, refusal } = await readRequest(r);
    const view = o.view(); // reading may have taken a while
    const now = o.situation();
    const outcome: Outcome = {
      view,
      now,
      began,
      grant,
      body,
      verdict: judgeBody(view, body, grant, o.granted(grant, view), now),
    };
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
    if (o.verdict.refused === "revoked") {
      // before anything about the body: the client needs a new token anyway
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
    const kinds = new Set([
      "tool",
      ...(view.rules.guards("prompt") ? ["prompt"] : []),
      ...(listsContents ? ["content"] : []),
    ]);
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
    // In shadow mode only what is stopped is left out.
    return allowed || (this.#ostiary.view().shadow && reason !== "stopped");
  }

  /**
   * Hands every decided call on, once it is known how the request was answered. Who asks for nothing the policy
   * decides about is reported only when refused.
   */
  #report(method: string, o: Outcome, status: number): void {
    const { grant, verdict, body } = o;
    const at = this.#ostiary.settings.now();
    const base = (): Omit<CallRecord, "kind" | "tool" | "reason" | "allowed"> => ({
      id: newCallID(at),
      at: new Date(at).toISOString(),
      user: grant.user,
      ...(grant.organization !== undefined && { org: grant.organization }),
      client: grant.client,
      ...(grant.host !== undefined && { host: grant.host }),
      ...(grant.grantId !== undefined && { grant: grant.grantId }),
      proof: "token",
      scopes: grant.scopes,
      revision: o.view.doc.revision,
      seq: o.now.feed.sequence,
      silence: Math.max(Math.trunc(Math.min(o.now.silence, Number.MAX_SAFE_INTEGER)), 0),
      status,
      latency_us: Math.round((performance.now() - o.began) * 1000),
    });
    for (const { message, target, decision, denied } of verdict.calls) {
      const m = body?.messages[message];
      if (m === undefined || (m.method === "completion/complete" && decision.allowed)) {
        continue; // of completions there is one per keystroke
      }
      this.#ostiary.record(() => {
        const args = auditedArguments(o.view.doc, target, m);
        return {
          ...base(),
          kind: target.kind,
          tool: recordedName(target.name),
          allowed: !denied,
          reason: decision.reason,
          ...(!denied && !decision.allowed && { shadowed: true }),
          ...(decision.missing.length > 0 && { missing: decision.missing }),
          ...(args !== undefined && { arguments: args }),
        };
      }, o.view.rules.risk(target));
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
        kind: target.kind,
        name: shortened(target.name),
        reason: decision.reason,
        missing: decision.missing,
        ...who,
        revision: o.view.doc.revision,
      };
      const message = denied ? "call denied" : "call would be denied";
      // An unmapped tool: the tenant has it and has not said who may call it.
      this.#ostiary.log[decision.reason === "unmapped_tool" ? "warn" : "info"](message, facts);
    }
  }
}

function listedKinds(body: Body): string[] {
  return [
    ...(hasMethod(body, "tools/list") ? ["tool"] : []),
    ...(hasMethod(body, "prompts/list") ? ["prompt"] : []),
    ...(hasMethod(body, "resources/list", "resources/templates/list") ? ["content"] : []),
  ];
}

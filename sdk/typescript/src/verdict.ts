import type { Body } from "./inspect.js";
import type { CompiledFeed } from "./policy/feed.js";
import type { Decision, Reason, ScopeSet, Situation, Target } from "./policy/judge.js";
import type { View } from "./site.js";
import type { Grant } from "./token.js";

/** The decision on one target of one message. */
export interface Decided {
  readonly message: number; // which of the body
  readonly target: Target;
  readonly decision: Decision;
  /** Denied and acted upon: in shadow mode the map of the policy only gets recorded. */
  readonly denied: boolean;
}

/**
 * The decision on a whole request. Any denied call denies all of it: a batch is one HTTP request with one status,
 * and half of it must not have happened when the client is asked to come back with more scopes.
 */
export interface Verdict {
  /** Why whoever asks may do nothing at all. */
  readonly refused: ReturnType<CompiledFeed["refuses"]>;
  readonly calls: readonly Decided[];
  readonly denied: boolean;
  /** Some call is of something unknown, not mapped or stopped: no scope will ever help. */
  readonly hopeless: boolean;
  /** Some call was denied only because the issuer has been silent for too long. */
  readonly silent: boolean;
  /** Every scope the denied calls need, for one challenge. */
  readonly required: readonly string[];
}

/** Judges every call of a body; there is none in a request without one. */
export function judgeBody(
  view: View,
  body: Body | undefined,
  grant: Grant,
  granted: ScopeSet,
  now: Situation,
): Verdict {
  const calls: Decided[] = [];
  body?.messages.forEach((m, message) => {
    for (const target of m.targets) {
      const decision = view.rules.judge(target, grant, granted, now);
      calls.push({
        message,
        target,
        decision,
        denied: !decision.allowed && !(view.shadow && isShadowable(decision.reason)),
      });
    }
  });
  const denied = calls.filter((c) => c.denied);
  const reasons = new Set(denied.map((c) => c.decision.reason));
  const silent = reasons.delete("out_of_contact");
  const insufficient = reasons.delete("insufficient_scope");
  return {
    refused: now.feed.refuses(grant, view.doc.resource.id),
    calls,
    silent,
    denied: denied.length > 0,
    hopeless: reasons.size > 0,
    required: insufficient ? [...new Set(denied.flatMap((c) => requiredOf(c.decision)))] : [],
  };
}

function requiredOf(d: Decision): readonly string[] {
  return d.reason === "insufficient_scope" ? d.required : [];
}

/**
 * Says whether a denial is let through in shadow mode, which is about the map from tools to permissions. What was
 * taken back or stopped is denied in every mode.
 */
export function isShadowable(reason: Reason): boolean {
  return reason === "insufficient_scope" || reason === "unknown_tool" || reason === "unmapped_tool";
}

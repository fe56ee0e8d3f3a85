import { randomBytes } from "node:crypto";

import { shortened } from "./challenge.js";
import type { Message } from "./inspect.js";
import { eachMember } from "./json/scan.js";
import type { PolicyDocument } from "./policy/document.js";
import type { Reason, Target } from "./policy/judge.js";
import { object } from "./targets.js";

const recordedTarget = 1024; // of a target's name
const maxArgumentBytes = 4 * 2 ** 10; // all arguments of one call together

/** One call that was decided, in the form the issuer keeps. It holds everything the decision was made from. */
export interface CallRecord {
  id: string;
  at: string;
  kind: string;
  tool: string;
  user: string;
  org?: string;
  client: string;
  host?: string;
  grant?: string;
  proof: "token";
  scopes: readonly string[];
  allowed: boolean;
  /** Denied by policy, let through in shadow mode. */
  shadowed?: boolean;
  reason: Reason;
  missing?: readonly string[];
  /** Policy revision in force. */
  revision: number;
  /** Feed in force. */
  seq: number;
  /** Seconds since the issuer was last heard. */
  silence: number;
  /** HTTP status of the answer; 0 when there was none. */
  status: number;
  latency_us: number;
  /** Arguments that the policy lists as audited, and no others. */
  arguments?: Record<string, unknown>;
}

/**
 * An id of a record: reported twice it is one call. It is the milliseconds of a moment and 17 random characters, so that neighbours
 * in time are neighbours in an index.
 */
export function newCallID(at: number): string {
  const alphabet = "234567ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const digits = [...randomBytes(26)].map((byte) => byte & 31);
  for (let i = 8, ms = at; i >= 0; i--, ms = Math.floor(ms / 32)) digits[i] = ms % 32;
  return "call_" + digits.map((digit) => alphabet.charAt(digit)).join("");
}

/** What a record says a call was about. */
export function recordedName(name: string): string {
  return shortened(name, recordedTarget);
}

/** Copies the arguments that the policy lists for a target, as far as there is room for them, and no others. */
export function auditedArguments(doc: PolicyDocument, target: Target, m: Message): Record<string, unknown> | undefined {
  const tools = target.kind === "tool" ? doc.tools : target.kind === "prompt" ? doc.prompts : undefined;
  const audited = tools != null && Object.hasOwn(tools, target.name) ? tools[target.name]?.audited : undefined;
  if (audited === undefined || audited.length === 0 || m.params === undefined) {
    return undefined;
  }
  let text: string | undefined;
  try {
    text = object(m.params, "arguments");
  } catch {
    return undefined;
  }
  if (text === undefined) {
    return undefined;
  }
  return copied(text, audited);
}

function copied(text: string, audited: readonly string[]): Record<string, unknown> | undefined {
  const kept: [string, unknown][] = [];
  let room = maxArgumentBytes;
  eachMember(text, 0, (name, start, end) => {
    const value = text.slice(start, end);
    const size = Buffer.byteLength(name) + Buffer.byteLength(value);
    if (audited.includes(name) && size <= room) {
      kept.push([name, JSON.parse(value)]);
      room -= size;
    }
  });
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

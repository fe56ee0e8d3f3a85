import {
  byteOrder,
  defaultOffline,
  scopeNames,
  scopeOf,
  type Offline,
  type PolicyDocument,
  type PolicyTool,
} from "./document.js";
import type { CompiledFeed, Subject } from "./feed.js";

/** Why a call was allowed or denied. The values are stable: logs, records and every SDK share them. */
export type Reason =
  "allowed" | "unknown_tool" | "unmapped_tool" | "insufficient_scope" | "revoked" | "stopped" | "out_of_contact";

/** What a call is about: a tool or prompt by name, a content by URI. */
export interface Target {
  readonly kind: string;
  readonly name: string;
}

/** The outcome of one call. */
export interface Decision {
  readonly allowed: boolean;
  readonly reason: Reason;
  /** Every scope this call needs; for a tool that any of several scopes opens, the most harmless one. */
  readonly required: readonly string[];
  /** The part of `required` the token does not carry; empty when allowed. */
  readonly missing: readonly string[];
}

/**
 * What is known besides the policy when deciding. Silence is in seconds; negative means that contact is not counted.
 */
export interface Situation {
  readonly feed: CompiledFeed;
  readonly silence: number;
}

/** How many scopes a document may have. What is beyond grants nothing. */
export const maxScopes = 256;

/** A set of a document's scopes, meaningful only with the `Compiled` that made it. */
export type ScopeSet = ReadonlySet<number>;

const none: readonly string[] = [];
const openTo = decision(true, "allowed");
const unknownTool = decision(false, "unknown_tool");
const unmappedTool = decision(false, "unmapped_tool");

function decision(allowed: boolean, reason: Reason, required = none, missing = none): Decision {
  return { allowed, reason, required, missing };
}

/** A document prepared for deciding: a call costs a few look-ups. */
export class Compiled {
  readonly #resourceID: string;
  readonly #closure = new Map<string, ScopeSet>();
  readonly #tools: Map<string, CompiledTool>;
  readonly #prompts: Map<string, CompiledTool>;
  readonly #contents: Map<string, CompiledTool>;
  readonly #prefixes: { prefix: string; tool: CompiledTool }[] = [];
  readonly #offline: Offline;

  /** Prepares any document and fails closed: a scope it does not have opens nothing. */
  constructor(doc: PolicyDocument) {
    const bits = new Map(
      scopeNames(doc)
        .slice(0, maxScopes)
        .map((name, i) => [name, i]),
    );
    const compile = (tools: Record<string, PolicyTool> | null | undefined): Map<string, CompiledTool> =>
      new Map(Object.entries(tools ?? {}).map(([name, tool]) => [name, new CompiledTool(doc, bits, tool)]));
    this.#resourceID = doc.resource.id;
    this.#offline = doc.offline ?? defaultOffline;
    this.#tools = compile(doc.tools);
    this.#prompts = compile(doc.prompts);
    this.#contents = compile(doc.contents);
    for (const name of bits.keys()) {
      this.#closure.set(name, closureOf(doc, bits, name));
    }
    for (const [uri, tool] of this.#contents) {
      if (uri.endsWith("*")) {
        this.#prefixes.push({ prefix: uri.slice(0, -1), tool });
      }
    }
    this.#prefixes.sort((a, b) => b.prefix.length - a.prefix.length || byteOrder(a.prefix, b.prefix));
  }

  /** Turns the scopes of a token into a set with everything they imply. Scopes the document lacks grant nothing. */
  granted(scopes: readonly string[]): ScopeSet {
    const set = new Set<number>();
    for (const name of scopes) {
      this.#closure.get(name)?.forEach((bit) => set.add(bit));
    }
    return set;
  }

  /**
   * Says whether a token of `s` may do what target names. The order is fixed, since logs and SDKs compare reasons:
   * what the token rests on, what is stopped, what the policy says, and last whether the issuer has been silent for
   * too long.
   */
  judge(target: Target, s: Subject, granted: ScopeSet, now: Situation): Decision {
    const refused = now.feed.refuses(s, this.#resourceID);
    if (refused !== undefined) {
      return decision(false, refused);
    }
    if (target.kind === "tool" && now.feed.stopsTool(target.name)) {
      return decision(false, "stopped");
    }
    const entry = this.#find(target);
    const d = entry === "open" ? openTo : entry === undefined ? unknownTool : entry.decide(granted);
    if (d.allowed && this.#isTooSilent(entry, now.silence)) {
      return decision(false, "out_of_contact", d.required);
    }
    return d;
  }

  /** The risk of the most dangerous scope a target needs; undefined when nothing maps it. */
  risk(target: Target): string | undefined {
    const entry = this.#find(target);
    return entry === "open" ? "read" : entry === undefined ? undefined : (entry.risk ?? "unknown");
  }

  /** Says whether the document maps targets of a kind at all. */
  guards(kind: "prompt" | "content"): boolean {
    return (kind === "prompt" ? this.#prompts : this.#contents).size > 0;
  }

  #isTooSilent(entry: CompiledTool | "open" | undefined, silence: number): boolean {
    const risk = entry === "open" ? "read" : entry?.risk;
    return (
      silence >
      (risk === "read" ? this.#offline.read : risk === "write" ? this.#offline.write : this.#offline.destructive)
    );
  }

  /** Prompts and contents of a document that maps none of them are open. */
  #find(target: Target): CompiledTool | "open" | undefined {
    switch (target.kind) {
      case "tool":
        return this.#tools.get(target.name);
      case "prompt":
        return this.#prompts.size === 0 ? "open" : this.#prompts.get(target.name);
      case "content":
        return this.#contents.size === 0 ? "open" : this.#content(target.name);
      default:
        return undefined;
    }
  }

  /** The URI itself, else the longest beginning of it that is mapped. */
  #content(uri: string): CompiledTool | undefined {
    const exact = uri.endsWith("*") ? undefined : this.#contents.get(uri);
    return exact ?? this.#prefixes.find((p) => uri.startsWith(p.prefix))?.tool;
  }
}

class CompiledTool {
  readonly risk: string | undefined; // the worst among required
  readonly #any: boolean;
  readonly #scopes: { name: string; bit: number | undefined }[] = [];
  readonly #required: readonly string[];
  readonly #allowed: Decision;

  constructor(doc: PolicyDocument, bits: Map<string, number>, tool: PolicyTool) {
    const names = [...new Set(tool.scopes ?? [])].sort(byteOrder);
    this.#any = tool.match === "any";
    for (const name of names) {
      this.#scopes.push({ name, bit: bits.get(name) });
    }
    this.#required = this.#any && names.length > 1 ? [mostHarmless(doc, names)] : names;
    this.#allowed = decision(true, "allowed", this.#required);
    let worst = 0;
    this.risk = "read";
    for (const name of this.#required) {
      const risk = scopeOf(doc, name)?.risk;
      if (riskRank(risk) > worst) {
        worst = riskRank(risk);
        this.risk = risk;
      }
    }
  }

  decide(granted: ScopeSet): Decision {
    if (this.#scopes.length === 0) {
      return unmappedTool;
    }
    const missing = this.#scopes.filter((s) => s.bit === undefined || !granted.has(s.bit));
    const opens = this.#any ? missing.length < this.#scopes.length : missing.length === 0;
    if (opens) {
      return this.#allowed;
    }
    return decision(
      false,
      "insufficient_scope",
      this.#required,
      this.#any ? this.#required : missing.map((s) => s.name),
    );
  }
}

/** Walks what name implies, once per scope, so circles end. */
function closureOf(doc: PolicyDocument, bits: Map<string, number>, name: string): ScopeSet {
  const set = new Set<number>();
  const queue = [name];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const bit = bits.get(next);
    if (bit !== undefined && !set.has(bit)) {
      set.add(bit);
      queue.push(...(scopeOf(doc, next)?.implies ?? []));
    }
  }
  return set;
}

/** What to ask for where any of names would do: least risk, then the tenant's own order, then the name. */
function mostHarmless(doc: PolicyDocument, names: string[]): string {
  const rank = (name: string): [number, number] => {
    const scope = scopeOf(doc, name);
    return [riskRank(scope?.risk), scope?.position ?? 0];
  };
  return names.reduce((best, name) => {
    const [risk, position] = rank(name);
    const [bestRisk, bestPosition] = rank(best);
    return (risk - bestRisk || position - bestPosition || byteOrder(name, best)) < 0 ? name : best;
  });
}

/** An unknown risk, also that of a scope the document lacks, counts as the worst. */
function riskRank(risk: string | undefined): number {
  const rank = ["read", "write", "destructive"].indexOf(risk ?? "");
  return rank < 0 ? 3 : rank;
}

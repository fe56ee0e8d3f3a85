/** What a permission can do to data, from harmless to irreversible. */
export type Risk = "read" | "write" | "destructive";

/** One tool, prompt or content and the scopes a token needs for it. Without scopes it is unmapped, and denied. */
export interface PolicyTool {
  scopes?: string[] | null;
  /** `any` of the scopes, or `all` of them. What is not known counts as `all`. */
  match?: string;
  wording?: string;
  fingerprint?: string;
  /** Arguments whose values may be kept in the record of a call. */
  audited?: string[];
}

/** One permission. The wording people read is not needed to decide and left out here. */
export interface PolicyScope {
  risk: string;
  implies?: string[] | null;
  baseline?: boolean;
  title?: string;
  position?: number;
}

/** How long, in seconds, to go on without hearing from the issuer, by the risk of what is called. */
export interface Offline {
  read: number;
  write: number;
  destructive: number;
}

/** One immutable policy revision of one resource, as the issuer signs and serves it. */
export interface PolicyDocument {
  revision: number;
  mode: string;
  resource: { id: string; identifier: string; aliases?: string[] | null; name: string };
  scopes?: Record<string, PolicyScope> | null;
  tools?: Record<string, PolicyTool> | null;
  prompts?: Record<string, PolicyTool> | null;
  contents?: Record<string, PolicyTool> | null;
  offline?: Offline | null;
}

/** The JWS `typ` of a signed policy. */
export const policyType = "ostiary-policy+jwt";

/** What applies to a document that says nothing: a day, an hour, five minutes. */
export const defaultOffline: Offline = { read: 86400, write: 3600, destructive: 300 };

/** The scopes asked for when a client names none, in the tenant's order. */
export function baselineScopes(doc: PolicyDocument): string[] {
  return scopeNames(doc)
    .filter((name) => scopeOf(doc, name)?.baseline === true)
    .sort((a, b) => (scopeOf(doc, a)?.position ?? 0) - (scopeOf(doc, b)?.position ?? 0));
}

/** The document's scopes in a fixed order. */
export function scopeNames(doc: PolicyDocument): string[] {
  return Object.keys(doc.scopes ?? {}).sort(byteOrder);
}

/** A scope by its own name only: "constructor" is in every object and no scope. */
export function scopeOf(doc: PolicyDocument, name: string): PolicyScope | undefined {
  const scopes = doc.scopes ?? {};
  return Object.hasOwn(scopes, name) ? scopes[name] : undefined;
}

/** Compares texts by their code points, which is the order of their UTF-8 bytes; `<` would compare UTF-16 units. */
export function byteOrder(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) {
      return codePoint(a, i) - codePoint(b, i);
    }
  }
  return a.length - b.length;
}

/** The code point that the unit at i belongs to. */
function codePoint(s: string, i: number): number {
  const unit = s.charCodeAt(i);
  const low = unit >= 0xdc00 && unit <= 0xdfff && i > 0;
  return (low ? s.codePointAt(i - 1) : s.codePointAt(i)) ?? 0;
}

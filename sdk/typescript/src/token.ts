import { createHash } from "node:crypto";

import { NotSigned, type IssuerKeys, type Signed } from "./issuer/keys.js";
import type { Compiled, ScopeSet } from "./policy/judge.js";
import { Recent } from "./recent.js";

const tokenType = "at+jwt"; // RFC 9068 §2.1
const maxTokenLength = 16 * 2 ** 10;
const rememberedTokens = 8192;

/** Who calls and what the user allowed, as the access token says. */
export interface Grant {
  /** Id of the lasting permission, `grt_…`; undefined in tokens that rest on none. */
  readonly grantId: string | undefined;
  readonly issuer: string;
  /** The user, `sub`. */
  readonly user: string;
  /** The organization the user acts for; undefined when for none. */
  readonly organization: string | undefined;
  /** The client, `client_id`. */
  readonly client: string;
  /** The product behind the client, where that could be checked. */
  readonly host: string | undefined;
  readonly scopes: readonly string[];
  /** `jti`. */
  readonly tokenId: string | undefined;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
}

/** Why a token is not good, in words for error_description. */
export class TokenError extends Error {}

const malformed = "The access token is not valid";

/** A token whose signature and fixed claims were found good, and the key that said so. */
interface Entry {
  readonly grant: Grant;
  readonly audience: readonly string[];
  readonly notBefore: number; // ms
  readonly expiresAt: number;
  readonly keyID: string;
  readonly thumbprint: string;
  granted?: { rules: Compiled; set: ScopeSet };
}

/** A verified token. */
export class Tokens {
  readonly #keys: IssuerKeys;
  readonly #issuer: string;
  readonly #skew: number;
  readonly #now: () => number;
  readonly #cache = new Recent<string, Entry>(rememberedTokens);
  readonly #entries = new WeakMap<Grant, Entry>();

  constructor(o: { keys: IssuerKeys; issuer: string; skew: number; now: () => number }) {
    this.#keys = o.keys;
    this.#issuer = o.issuer;
    this.#skew = o.skew;
    this.#now = o.now;
  }

  /** Says whose token this is. Throws a TokenError when the token is at fault, else KeysUnavailable. */
  async verify(token: string, resource: string): Promise<Grant> {
    if (token.length > maxTokenLength) {
      throw new TokenError(malformed);
    }
    const hash = createHash("sha256").update(token).digest("base64");
    let entry = this.#cache.get(hash);
    if (entry === undefined || !this.#keys.stillHas(entry.keyID, entry.thumbprint)) {
      entry = await this.#check(token);
      this.#cache.put(hash, entry);
      this.#entries.set(entry.grant, entry);
    }
    // Time and audience are looked at on every use: time passes, and the policy may name the resource anew.
    const now = this.#now();
    if (now >= entry.expiresAt + this.#skew) {
      throw new TokenError("The access token has expired");
    }
    if (now + this.#skew < entry.notBefore) {
      throw new TokenError("The access token is not valid yet");
    }
    if (!entry.audience.includes(resource)) {
      throw new TokenError("The access token is for another resource");
    }
    return entry.grant;
  }

  /** The scopes of a grant under a policy, remembered for grants of this process. */
  granted(grant: Grant, rules: Compiled): ScopeSet {
    const entry = this.#entries.get(grant);
    if (entry?.granted?.rules === rules) {
      return entry.granted.set;
    }
    const set = rules.granted(grant.scopes);
    if (entry !== undefined) {
      entry.granted = { rules, set };
    }
    return set;
  }

  async #check(token: string): Promise<Entry> {
    let signed: Signed;
    try {
      signed = await this.#keys.verify(token, tokenType);
    } catch (e) {
      throw e instanceof NotSigned ? new TokenError(malformed) : e;
    }
    const c = signed.claims;
    if (c["iss"] !== this.#issuer) {
      throw new TokenError("The access token comes from another issuer");
    }
    const expiresAt = millis(c["exp"]);
    const issuedAt = millis(c["iat"]);
    const notBefore = c["nbf"] === undefined ? issuedAt : millis(c["nbf"]);
    const audience = audienceOf(c["aud"]);
    const grant = grantOf(c, issuedAt, expiresAt);
    if (
      expiresAt === undefined ||
      issuedAt === undefined ||
      notBefore === undefined ||
      audience === undefined ||
      grant === undefined
    ) {
      throw new TokenError(malformed);
    }
    // A token from the future is one from a clock that is wrong, or forged with a stolen idea of time.
    return {
      grant,
      audience,
      expiresAt,
      notBefore: Math.max(issuedAt, notBefore),
      keyID: signed.keyID,
      thumbprint: signed.thumbprint,
    };
  }
}

/** Reads what a grant is made of; undefined when something is missing, or could break a header or a log line. */
function grantOf(c: Record<string, unknown>, issuedAt = 0, expiresAt = 0): Grant | undefined {
  const optional = (name: string): string | undefined =>
    c[name] === undefined || c[name] === "" ? undefined : (c[name] as string);
  const { sub, client_id: client, iss, scope = "" } = c;
  const others = [optional("grant_id"), optional("org_id"), optional("host"), optional("jti")];
  const fits = [sub, client, ...others.filter((v) => v !== undefined)].every(
    (v) => typeof v === "string" && isHeaderSafe(v),
  );
  if (
    !fits ||
    typeof sub !== "string" ||
    sub === "" ||
    typeof client !== "string" ||
    client === "" ||
    typeof scope !== "string"
  ) {
    return undefined;
  }
  return Object.freeze({
    grantId: others[0],
    organization: others[1],
    host: others[2],
    tokenId: others[3],
    issuer: iss as string,
    user: sub,
    client,
    scopes: Object.freeze(scope.split(/\s+/).filter((s) => s !== "" && isHeaderSafe(s))),
    issuedAt: new Date(issuedAt),
    expiresAt: new Date(expiresAt),
  });
}

/** One string or a list of them (RFC 7519 §4.1.3). */
function audienceOf(aud: unknown): string[] | undefined {
  const list: unknown[] = Array.isArray(aud) ? aud : [aud];
  return list.every((v) => typeof v === "string") ? list : undefined;
}

/** Seconds since the epoch, possibly with a fraction (RFC 7519 §2), within reason. */
export function millis(date: unknown): number | undefined {
  return typeof date === "number" && date > 0 && date < 1e11 ? date * 1000 : undefined;
}

/** Printable ASCII without surrounding spaces. */
function isHeaderSafe(s: string): boolean {
  return /^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(s);
}

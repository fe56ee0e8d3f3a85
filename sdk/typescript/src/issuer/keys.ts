import { calculateJwkThumbprint, compactVerify, importJWK, type CryptoKey, type JWK } from "jose";

import { checkJSON, decodeUTF8 } from "../json/scan.js";
import { reasonOf, type Logger } from "../log.js";
import type { Fetcher } from "./fetch.js";

const keysFreshFor = 5 * 60_000; // after this a look-up asks the issuer again, in the background
// Between two fetches, whatever asks for them: made-up kids must not turn this server against the issuer.
const keysRetryAfter = 5_000;

const metadataLimit = 256 * 2 ** 10;
const jwksLimit = 2 ** 20;
const minRSABits = 2048;
const maxClaimsDepth = 32;

/** Nobody can tell now whether something was signed by the issuer. */
export class KeysUnavailable extends Error {}

/** Not signed by the issuer, or not what it should be. */
export class NotSigned extends Error {}

/** One public key of the issuer, tied to one algorithm. */
interface VerifyKey {
  readonly id: string;
  readonly alg: string;
  readonly key: CryptoKey;
  /** RFC 7638; tells a replaced key from the one a remembered token was verified with. */
  readonly thumbprint: string;
}

/** The content of a verified compact JWS. */
export interface Signed {
  readonly claims: Record<string, unknown>;
  readonly keyID: string;
  readonly thumbprint: string;
}

/**
 * The issuer's keys: metadata (RFC 8414) → jwks_uri → keys. Once it has keys it keeps them until newer ones arrive,
 * so an outage of the issuer does not stop this server.
 */
export class IssuerKeys {
  readonly #issuer: string;
  readonly #fetcher: Fetcher;
  readonly #now: () => number;
  readonly #log: Logger;
  readonly #life: AbortSignal;

  #keys: Map<string, VerifyKey> | undefined;
  #fetched = 0;
  #tried = -Infinity;
  #flight: Promise<void> | undefined;
  #failure: unknown;

  constructor(o: { issuer: string; fetcher: Fetcher; now: () => number; log: Logger; life: AbortSignal }) {
    this.#issuer = o.issuer;
    this.#fetcher = o.fetcher;
    this.#now = o.now;
    this.#log = o.log;
    this.#life = o.life;
  }

  /** Whether there are keys. */
  get isLoaded(): boolean {
    return this.#keys !== undefined;
  }

  /** Fetches the keys now, for the start. */
  async load(): Promise<void> {
    this.#keys = await this.#load();
    this.#fetched = this.#now();
  }

  /**
   * Says whether the key something was verified with is still the issuer's: withdrawing a key withdraws everything
   * it signed, remembered or not. Old keys are renewed in the background.
   */
  stillHas(keyID: string, thumbprint: string): boolean {
    return this.#held(keyID)?.thumbprint === thumbprint;
  }

  /**
   * Checks a compact JWS: type, algorithm, key of the issuer, signature, claims in strict JSON. Throws
   * KeysUnavailable or NotSigned.
   */
  async verify(compact: string, typ: string): Promise<Signed> {
    const header = headerOf(compact);
    if (!sameType(header["typ"], typ) || typeof header["kid"] !== "string" || "crit" in header) {
      throw new NotSigned("not a signed token of the expected kind");
    }
    const key = await this.#find(header["kid"]);
    if (header["alg"] !== key.alg) {
      throw new NotSigned("not the algorithm of its key");
    }
    let payload: Uint8Array;
    try {
      ({ payload } = await compactVerify(compact, key.key, { algorithms: [key.alg] }));
    } catch {
      throw new NotSigned("the signature does not verify");
    }
    return { claims: objectOf(payload), keyID: key.id, thumbprint: key.thumbprint };
  }

  async #find(kid: string): Promise<VerifyKey> {
    const held = this.#held(kid);
    if (held !== undefined) {
      return held;
    }
    await this.#refresh();
    const found = this.#keys?.get(kid);
    if (found !== undefined) {
      return found;
    }
    if (this.#failure !== undefined) {
      throw new KeysUnavailable("the issuer's keys cannot be fetched: " + reasonOf(this.#failure));
    }
    throw new NotSigned("the key is not among the issuer's");
  }

  #held(kid: string): VerifyKey | undefined {
    if (this.#now() - this.#fetched > keysFreshFor) {
      void this.#refresh(); // nobody waits for it; a failure is logged where it happens
    }
    return this.#keys?.get(kid);
  }

  /**
   * Fetches the keys, together with everyone else who wants them, and at most every keysRetryAfter. Never rejects.
   */
  #refresh(): Promise<void> {
    if (this.#flight !== undefined) {
      return this.#flight;
    }
    if (this.#now() - this.#tried < keysRetryAfter) {
      return Promise.resolve();
    }
    this.#tried = this.#now();
    this.#flight = this.#fly().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #fly(): Promise<void> {
    try {
      await this.load();
      this.#failure = undefined;
    } catch (e) {
      if (this.#failure === undefined && !this.#life.aborted) {
        this.#log.warn("keys of the issuer cannot be renewed, going on with those in memory", { error: reasonOf(e) });
      }
      this.#failure = e;
    }
  }

  async #load(): Promise<Map<string, VerifyKey>> {
    const { body } = await trying("keys of the issuer", async () =>
      this.#fetcher.get(await this.#jwksURI(), {
        accept: "application/jwk-set+json, application/json",
        limit: jwksLimit,
        life: this.#life,
      }),
    );
    return trying("keys of the issuer", () => parseKeys(body));
  }

  async #jwksURI(): Promise<string> {
    const { protocol, origin, pathname } = new URL(this.#issuer);
    // RFC 8414 §3.1: the well-known path goes between host and path of the issuer.
    const address = origin + "/.well-known/oauth-authorization-server" + (pathname === "/" ? "" : pathname);
    const { body } = await trying("metadata of the issuer", () =>
      this.#fetcher.get(address, { accept: "application/json", limit: metadataLimit, life: this.#life }),
    );
    const metadata = objectOf(body);
    // RFC 8414 §3.3: identical, or the document must not be used.
    if (metadata["issuer"] !== this.#issuer) {
      throw new Error("its metadata names another issuer");
    }
    const uri = metadata["jwks_uri"];
    const scheme = typeof uri === "string" && URL.canParse(uri) ? new URL(uri).protocol : "";
    if (typeof uri !== "string" || (scheme !== "https:" && (scheme !== "http:" || protocol !== "http:"))) {
      throw new Error("its metadata has no usable jwks_uri");
    }
    return uri;
  }
}

/** Says of an error what was tried. */
async function trying<T>(what: string, f: () => Promise<T>): Promise<T> {
  try {
    return await f();
  } catch (e) {
    throw new Error(`${what}: ${reasonOf(e)}`, { cause: e });
  }
}

/** Reads a JWK set and keeps what can verify signatures. A key that is not understood does not spoil the others. */
export async function parseKeys(raw: Uint8Array): Promise<Map<string, VerifyKey>> {
  const { keys } = objectOf(raw);
  const usable = new Map<string, VerifyKey>();
  for (const item of Array.isArray(keys) ? (keys as unknown[]) : []) {
    const key = await usableKey(item);
    if (key !== undefined && !usable.has(key.id)) {
      usable.set(key.id, key);
    }
  }
  if (usable.size === 0) {
    throw new Error("no usable key in the set");
  }
  return usable;
}

async function usableKey(item: unknown): Promise<VerifyKey | undefined> {
  if (typeof item !== "object" || item === null) {
    return undefined;
  }
  const jwk = item as JWK;
  const alg = algorithmOf(jwk);
  const isPublic = jwk.d === undefined && jwk.k === undefined;
  if (
    typeof jwk.kid !== "string" ||
    jwk.kid === "" ||
    !isPublic ||
    alg === undefined ||
    (jwk.use !== undefined && jwk.use !== "sig") ||
    (jwk.alg !== undefined && jwk.alg !== alg)
  ) {
    return undefined;
  }
  try {
    const key = await importJWK(jwk, alg);
    if (key instanceof Uint8Array || (bitsOf(key) ?? minRSABits) < minRSABits) {
      return undefined;
    }
    return { id: jwk.kid, alg, key, thumbprint: await calculateJwkThumbprint(jwk) };
  } catch {
    return undefined;
  }
}

function bitsOf(key: CryptoKey): number | undefined {
  return (key.algorithm as { modulusLength?: number }).modulusLength;
}

/** The one algorithm a key may be used with, so that a token cannot choose another (RFC 8725 §3.1). */
function algorithmOf(jwk: JWK): string | undefined {
  switch (jwk.kty) {
    case "EC":
      return jwk.crv === "P-256" ? "ES256" : undefined;
    case "RSA":
      return "RS256";
    case "OKP":
      return jwk.crv === "Ed25519" ? "EdDSA" : undefined;
    default:
      return undefined;
  }
}

/** The protected header of a compact JWS in its only spelling: three parts of unpadded base64url. */
function headerOf(compact: string): Record<string, unknown> {
  const header = /^([\w-]+)\.[\w-]+\.[\w-]+$/.exec(compact)?.[1];
  if (header === undefined) {
    throw new NotSigned("not a compact JWS");
  }
  return objectOf(Buffer.from(header, "base64url"));
}

/** A JSON object without duplicate keys, or a NotSigned. */
export function objectOf(raw: Uint8Array): Record<string, unknown> {
  try {
    const text = decodeUTF8(raw);
    checkJSON(text, maxClaimsDepth);
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // said below
  }
  throw new NotSigned("not a JSON object");
}

/** Compares JWS types as RFC 7515 §4.1.9 has them: a media type whose "application/" may be left out. */
function sameType(got: unknown, want: string): boolean {
  return typeof got === "string" && got.toLowerCase().replace(/^application\//, "") === want;
}

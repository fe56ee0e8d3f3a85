import { reasonOf, type Logger } from "../log.js";
import { policyType, type PolicyDocument } from "../policy/document.js";
import { millis } from "../token.js";
import type { Watch } from "../watch.js";
import type { Fetcher } from "./fetch.js";
import type { IssuerKeys } from "./keys.js";

const policyLimit = 8 * 2 ** 20;

/** What is common to all that follows one resource of one issuer. */
export interface Following {
  readonly issuer: string;
  readonly resourceId: string;
  readonly keys: IssuerKeys;
  readonly fetcher: Fetcher;
  readonly skew: number;
  readonly watch: Watch;
  readonly log: Logger;
  readonly life: AbortSignal;
}

/**
 * The published policy of one resource, polled from its issuer and verified like a token. It never goes back to an
 * older revision, and when the issuer cannot be reached it goes on with the last one.
 */
export class PolicySource {
  readonly #with: Following;
  readonly #take: (doc: PolicyDocument, signed: number) => void;
  #revision = -1;
  #etag: string | undefined;
  #polling: Promise<void> | undefined;
  #failing = false;

  /**
   * take is called with every newer document; it throws for one it cannot work with, which then counts as not
   * served.
   */
  constructor(following: Following, take: (doc: PolicyDocument, signed: number) => void) {
    this.#with = following;
    this.#take = take;
  }

  /** The revision in force; negative when there is none. */
  get revision(): number {
    return this.#revision;
  }

  /** Polls once, together with everyone else who wants it. Rejects when there is nothing usable. */
  poll(): Promise<void> {
    this.#polling ??= this.#poll().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  /** Polls once and says once that the issuer is out of reach, and once that it is back. */
  async follow(): Promise<void> {
    const { log, life, resourceId } = this.#with;
    const before = this.#revision;
    try {
      await this.poll();
    } catch (e) {
      if (!this.#failing && !life.aborted) {
        const facts = { resource: resourceId, revision: before, error: reasonOf(e) };
        log.warn("policy cannot be renewed, going on with the last one", facts);
      }
      this.#failing = true;
      return;
    }
    if (this.#failing) {
      this.#failing = false;
      log.info("policy can be renewed again", { resource: resourceId });
    }
    if (this.#revision !== before) {
      log.info("policy changed", { resource: resourceId, revision: this.#revision });
    }
  }

  async #poll(): Promise<void> {
    const { fetcher, issuer, resourceId, life } = this.#with;
    const address = `${issuer}/resources/${encodeURIComponent(resourceId)}/policy`;
    const etag = this.#etag === undefined ? {} : { etag: this.#etag };
    const fetched = await fetcher.get(address, { accept: "application/jwt", limit: policyLimit, life, ...etag });
    if (fetched.status === 304) {
      return;
    }
    const [doc, signed] = await this.#verify(Buffer.from(fetched.body).toString("latin1"));
    if (doc.revision < this.#revision) {
      throw new Error(`issuer serves revision ${doc.revision} after ${this.#revision}`);
    }
    this.#take(doc, signed);
    this.#revision = doc.revision;
    this.#etag = fetched.etag;
  }

  /** Checks a signed policy: kind, key, issuer, resource, time. */
  async #verify(compact: string): Promise<[PolicyDocument, number]> {
    const { claims, signed } = await verifyBundle(this.#with, compact, policyType, "signed policy");
    const doc = claims["policy"] as PolicyDocument | undefined;
    if (typeof doc?.revision !== "number" || doc.resource.id !== this.#with.resourceId) {
      throw new Error("signed policy: is about another resource");
    }
    return [doc, signed];
  }
}

/** Checks what a signed document of a resource has in common: kind, key, issuer, resource, time. */
export async function verifyBundle(
  f: Following,
  compact: string,
  typ: string,
  what: string,
): Promise<{ claims: Record<string, unknown>; signed: number }> {
  const { claims } = await f.keys.verify(compact, typ);
  const issuedAt = millis(claims["iat"]);
  const expiresAt = millis(claims["exp"]);
  const now = f.watch.now();
  if (claims["iss"] !== f.issuer) {
    throw new Error(`${what}: comes from another issuer`);
  }
  if (claims["sub"] !== f.resourceId) {
    throw new Error(`${what}: is about another resource`);
  }
  if (expiresAt === undefined || (issuedAt !== undefined && expiresAt <= issuedAt) || now >= expiresAt + f.skew) {
    throw new Error(`${what}: has expired`);
  }
  if (issuedAt === undefined || issuedAt > now + f.skew) {
    throw new Error(`${what}: is from the future`);
  }
  return { claims, signed: issuedAt };
}

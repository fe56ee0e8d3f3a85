import { consoleLogger, type Logger } from "./log.js";
import type { PolicyDocument } from "./policy/document.js";
import type { CallRecord } from "./record.js";
import type { ReportOptions } from "./reporter.js";

/**
 * How an MCP server is protected. Issuer and resourceId are all that is needed; none of it is a secret but `report`.
 */
export interface OstiaryOptions {
  /** The issuer's URL, exactly as in its metadata. */
  readonly issuer: string;
  /** `res_…`, the MCP server whose policy is followed. */
  readonly resourceId: string;
  /** The URL clients reach this server by, when it is one of the resource's aliases. */
  readonly identifier?: string;
  /**
   * A policy that stays as it is, instead of the issuer's: for tests, and for servers that carry their policy in
   * their code.
   */
  readonly policy?: PolicyDocument;

  /** Exact paths that need no token, e.g. `/healthz`. Everything else that reaches a middleware is protected. */
  readonly public?: readonly string[];

  /** Called for every call that was decided, once it is known how it was answered. It must be quick. */
  readonly observe?: (call: CallRecord) => void;
  /** Reports every call to the issuer. Off unless given. */
  readonly report?: ReportOptions;

  readonly logger?: Logger;
  /** To the issuer; redirects are never followed. */
  readonly fetch?: typeof globalThis.fetch;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Between our clock and the issuer's, in seconds: 30, at most 120. */
  readonly skew?: number;
  /** Of a request, in bytes: 4 MiB. */
  readonly maxBody?: number;
  /** For a client to send its body, in milliseconds: 30 s. */
  readonly bodyTimeout?: number;
  /**
   * Between two looks at the policy, in milliseconds: 3 s. The feed of revocations also says when there is a new
   * one.
   */
  readonly pollEvery?: number;
  /** For requests to wait for keys and policy at the start, in milliseconds: 10 s. */
  readonly startTimeout?: number;
  /** Bounds of the wait before the feed is asked for again, in milliseconds: 1 s to 10 s. */
  readonly backoff?: { readonly min: number; readonly max: number };
}

/** Options with what was left out filled in. */
export type Settled = Required<Omit<OstiaryOptions, "identifier" | "policy" | "observe" | "report">> & OstiaryOptions;

const maxSkew = 120;

/** Fills in what was left out. Throws for what cannot work. */
export function settled(o: OstiaryOptions): Settled {
  const u = URL.canParse(o.issuer) ? new URL(o.issuer) : undefined;
  if (u === undefined || !/^https?:$/.test(u.protocol)) {
    throw new TypeError("ostiary: the issuer is not an absolute http or https URL");
  }
  if (u.username !== "" || u.password !== "" || /[?#]/.test(o.issuer) || o.issuer.endsWith("/")) {
    throw new TypeError("ostiary: the issuer has no user, query, fragment or trailing slash");
  }
  if (o.resourceId === "") {
    throw new TypeError("ostiary: the resource id is missing");
  }
  const { skew = 30 } = o;
  if (!(skew >= 0 && skew <= maxSkew)) {
    throw new TypeError(`ostiary: the clock skew is between 0 and ${maxSkew} seconds`);
  }
  return {
    ...o,
    skew,
    public: o.public ?? [],
    logger: o.logger ?? consoleLogger,
    fetch: o.fetch ?? globalThis.fetch,
    now: o.now ?? Date.now,
    maxBody: o.maxBody ?? 4 * 2 ** 20,
    bodyTimeout: o.bodyTimeout ?? 30_000,
    pollEvery: o.pollEvery ?? 3_000,
    startTimeout: o.startTimeout ?? 10_000,
    backoff: o.backoff ?? { min: 1_000, max: 10_000 },
  };
}

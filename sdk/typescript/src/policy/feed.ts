import type { Reason } from "./judge.js";

/** The JWS `typ` of a signed feed. */
export const feedType = "ostiary-revocations+jwt";

/** The host of clients of which nothing could be checked: tokens of theirs name none. */
export const hostUnverified = "unverified";

/** One thing that is stopped until a person lifts it. */
export interface Stop {
  kind: string;
  value: string;
}

/** Everything that was taken back lately and what is stopped now. It is always whole. */
export interface Feed {
  seq: number;
  revision: number;
  ended: {
    grants?: string[] | null;
    users?: string[] | null;
    organizations?: string[] | null;
    clients?: string[] | null;
  };
  stops?: Stop[] | null;
}

/** What a decision reads of an access token. */
export interface Subject {
  readonly user: string;
  readonly organization?: string | undefined;
  readonly client: string;
  readonly host?: string | undefined;
  readonly grantId?: string | undefined;
}

/** A feed prepared for deciding. */
export class CompiledFeed {
  readonly sequence: number;
  readonly revision: number;
  readonly #grants: Set<string>;
  readonly #users: Set<string>;
  readonly #organizations: Set<string>;
  readonly #clients: Set<string>;
  readonly #stops = new Map<string, Set<string>>();

  /** Prepares a feed. None ends and stops nothing. */
  constructor(feed?: Feed) {
    this.sequence = feed?.seq ?? 0;
    this.revision = feed?.revision ?? 0;
    this.#grants = new Set(feed?.ended.grants);
    this.#users = new Set(feed?.ended.users);
    this.#organizations = new Set(feed?.ended.organizations);
    this.#clients = new Set(feed?.ended.clients);
    for (const stop of feed?.stops ?? []) {
      const values = this.#stops.get(stop.kind) ?? new Set();
      this.#stops.set(stop.kind, values.add(stop.value));
    }
  }

  /** Whether anything is stopped. */
  get stopsAnything(): boolean {
    return this.#stops.size > 0;
  }

  /**
   * Says whether nothing may be done with a token at all: `revoked` when what it rests on has ended, `stopped` when
   * the server, its host, user or organization is stopped.
   */
  refuses(s: Subject, resourceID: string): Extract<Reason, "revoked" | "stopped"> | undefined {
    if (
      has(this.#grants, s.grantId) ||
      has(this.#users, s.user) ||
      has(this.#organizations, s.organization) ||
      has(this.#clients, s.client)
    ) {
      return "revoked";
    }
    if (this.#stops.size === 0) {
      return undefined;
    }
    const stopped =
      this.#isStopped("server", resourceID) ||
      this.#isStopped("host", s.host || hostUnverified) ||
      this.#isStopped("user", s.user) ||
      this.#isStopped("organization", s.organization);
    return stopped ? "stopped" : undefined;
  }

  /** Says whether one tool is stopped. */
  stopsTool(name: string): boolean {
    return this.#stops.get("tool")?.has(name) ?? false;
  }

  #isStopped(kind: string, value: string | undefined): boolean {
    return has(this.#stops.get(kind), value);
  }
}

/** An empty id is nobody's. */
function has(set: Set<string> | undefined, id: string | undefined): boolean {
  return id !== undefined && id !== "" && (set?.has(id) ?? false);
}

import { Recent } from "./recent.js";
import type { Grant } from "./token.js";

const rememberedSessions = 8192;

/**
 * Remembers whose a session is, so that a session id that leaked is of no use with somebody else's token (MCP
 * security best practices, session hijacking). It knows only sessions that began in this process and were used
 * lately; a stranger's guess at another one is left to the MCP server.
 */
export class Sessions {
  readonly #owners = new Recent<string, string>(rememberedSessions);

  /**
   * Says whether a grant may use the session a request names. Of two, nobody knows which one the MCP server takes.
   */
  admits(named: readonly string[], grant: Grant): boolean {
    const [session] = named;
    if (session === undefined) {
      return true;
    }
    const owner = this.#owners.get(session);
    // A session id has no space (MCP, session management): what has one is two headers that were joined.
    return named.length === 1 && !session.includes(" ") && (owner === undefined || owner === ownerOf(grant));
  }

  /** Remembers the session a response names. Who had it first keeps it. */
  note(session: string | undefined, grant: Grant): void {
    if (session !== undefined && session !== "" && session.length <= 256 && this.#owners.get(session) === undefined) {
      this.#owners.put(session, ownerOf(grant));
    }
  }
}

function ownerOf(grant: Grant): string {
  return JSON.stringify([grant.user, grant.organization, grant.client]);
}

/**
 * What WWW-Authenticate says. Clients read it with regular expressions, so it is always one header line, Bearer
 * first, every value quoted.
 */
export interface Challenge {
  /** Empty on the very first 401 (RFC 6750 §3.1). */
  readonly error?: string;
  readonly description?: string;
  /** Everything this operation needs. */
  readonly scopes: readonly string[];
  readonly metadataURL: string;
}

/** Keeps header lines short whatever a client put into a tool's name. */
const maxDescription = 300;

/** Builds the header value. */
export function challengeHeader(c: Challenge): string {
  const scope = scopeValue(c.scopes);
  const metadata = printable(c.metadataURL);
  const params =
    c.error === undefined
      ? { resource_metadata: metadata, scope }
      : {
          error: printable(c.error),
          scope,
          resource_metadata: metadata,
          error_description: printable(c.description ?? "").slice(0, maxDescription),
        };
  const given = Object.entries(params).filter(([, value]) => value !== "");
  return "Bearer " + given.map(([name, value]) => `${name}="${value}"`).join(", ");
}

/** Joins scopes; one that is no scope-token (RFC 6749 §3.3) is left out rather than bent into another. */
export function scopeValue(scopes: readonly string[]): string {
  return scopes.filter((s) => s !== "" && !s.includes(" ") && printable(s) === s).join(" ");
}

/** Keeps s to what RFC 6750 §3 allows in a value, %x20-21 / %x23-5B / %x5D-7E; the rest becomes "?". */
export function printable(s: string): string {
  return s.replace(/[^ !#-[\]-~]/gu, "?");
}

/** Cuts a text that a client chose to a length fit for a log line or a message. */
export function shortened(s: string, limit = 128): string {
  return s.length <= limit ? s : s.slice(0, limit).toWellFormed();
}

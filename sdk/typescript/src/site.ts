import { corsHeaders, methodNotAllowed, preflight, type Answer } from "./answer.js";
import { baselineScopes, type PolicyDocument } from "./policy/document.js";
import { Compiled } from "./policy/judge.js";

/** The well-known path of protected resource metadata (RFC 9728 §3). */
const wellKnown = "/.well-known/oauth-protected-resource";

/** One URL the MCP server is known by. All of them are registered; none is taken from a request. */
interface Spelling {
  readonly identifier: string;
  readonly host: string; // with port, without a default one
  readonly path: string; // "" for the root
  readonly metadataURL: string;
  readonly metadata: string; // the RFC 9728 document
}

/** Everything derived from one policy document. It is built once per revision and never changed. */
export class View {
  readonly doc: PolicyDocument;
  readonly rules: Compiled;
  readonly shadow: boolean;
  readonly baseline: readonly string[];
  /** The identifier that tokens are for. */
  readonly resource: URL;
  readonly #canonical: Spelling;
  readonly #spellings: readonly Spelling[];

  /**
   * Derives a view. preferred, when given, picks the spelling this server is reached by. Throws when doc cannot be
   * used.
   */
  constructor(doc: PolicyDocument, issuer: string, preferred?: string) {
    this.doc = doc;
    this.rules = new Compiled(doc);
    this.shadow = doc.mode === "shadow";
    this.baseline = baselineScopes(doc);
    const { identifier, aliases, name } = doc.resource;
    this.#spellings = [identifier, ...(aliases ?? [])].map((id) => spelling(id, issuer, name, this.baseline));
    const canonical = this.#spellings.find((s) => s.identifier === (preferred ?? identifier));
    if (canonical === undefined) {
      throw new Error(
        `"${preferred ?? identifier}" is neither the identifier nor an alias of the resource (${identifier})`,
      );
    }
    this.#canonical = canonical;
    this.resource = new URL(identifier);
  }

  /** Where the metadata of what a client called is. */
  metadataURL(host: string, path: string): string {
    return this.#spellingFor(host, path).metadataURL;
  }

  /**
   * Answers everything under /.well-known/. Only the metadata of this very endpoint is there; the rest is a bare
   * 404, since clients probe here for authorization servers and believe what they find.
   */
  wellKnown(method: string, host: string, path: string, requestedHeaders: string): Answer | undefined {
    if (!path.startsWith("/.well-known/")) {
      return undefined;
    }
    const endpoint = path.startsWith(wellKnown) ? path.slice(wellKnown.length) : undefined;
    if (endpoint === undefined || !this.#spellings.some((s) => samePath(endpoint, s.path))) {
      return { status: 404, headers: { ...corsHeaders, "Cache-Control": "no-store" } };
    }
    switch (method) {
      case "OPTIONS":
        return preflight(requestedHeaders);
      case "GET":
      case "HEAD":
        return {
          status: 200,
          headers: { ...corsHeaders, "Content-Type": "application/json", "Cache-Control": "public, max-age=60" },
          body: this.#spellingFor(host, endpoint).metadata,
        };
      default:
        return methodNotAllowed("GET, HEAD, OPTIONS");
    }
  }

  /**
   * The registered spelling that is closest to what the client called, so that the resource it is told is the one it
   * compares with (RFC 9728 §3.3). Host and path only choose among registered values.
   */
  #spellingFor(host: string, path: string): Spelling {
    let best = this.#canonical;
    let points = 0;
    for (const s of this.#spellings) {
      if (!samePath(path, s.path)) {
        continue;
      }
      const p =
        1 +
        (sameHost(host, s.host) ? 8 : 0) +
        (path === s.path || s.path === "" ? 4 : 0) +
        (s === this.#canonical ? 2 : 0);
      if (p > points) {
        best = s;
        points = p;
      }
    }
    return best;
  }
}

function spelling(identifier: string, issuer: string, name: string, baseline: readonly string[]): Spelling {
  const u = URL.canParse(identifier) ? new URL(identifier) : undefined;
  if (u === undefined || !/^https?:$/.test(u.protocol) || /[?#]/.test(identifier)) {
    throw new Error(`resource identifier "${identifier}" is not an absolute URL without query and fragment`);
  }
  const path = u.pathname === "/" ? "" : u.pathname;
  // RFC 9728 §2. scopes_supported is the minimum to get going, never offline_access (MCP 2026-07-28, protected
  // resource metadata).
  const metadata = JSON.stringify({
    resource: identifier,
    authorization_servers: [issuer],
    ...(baseline.length > 0 && { scopes_supported: baseline }),
    bearer_methods_supported: ["header"],
    ...(name !== "" && { resource_name: name }),
  });
  return { identifier, host: u.host, path, metadata, metadataURL: u.origin + wellKnown + path };
}

/** With and without a trailing slash is the same endpoint: clients add and lose it on the way. */
function samePath(a: string, b: string): boolean {
  return a.replace(/\/$/, "") === b.replace(/\/$/, "");
}

function sameHost(requested: string, registered: string): boolean {
  const host = requested.toLowerCase();
  return host === registered || host === registered + ":443" || host === registered + ":80";
}

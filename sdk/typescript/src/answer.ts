/** An answer of the guard itself, before it is one of a framework. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/**
 * JSON-RPC 2.0 §5.1 error codes, then those of MCP, then Ostiary's own (-32000 to -32019 are free for
 * implementations).
 */
export const rpc = {
  parseError: -32700,
  invalidRequest: -32600,
  invalidParams: -32602,
  headerMismatch: -32020,
  sessionNotFound: -32001,
  insufficientScope: -32010,
  batchRefused: -32011,
  serverFailed: -32012,
  stopped: -32013,
  outOfContact: -32014,
} as const;

/** A JSON-RPC error. */
export interface RPCError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** A request that is not understood, or understood only too well. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: number;
  readonly id: string | undefined;

  constructor(status: number, code: number, message: string, id?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.id = id;
  }

  answer(): Answer {
    return rpcErrorAnswer(this.status, this.id, { code: this.code, message: this.message });
  }
}

/** A refusal of a body that is not what it should be. */
export function bad(code: number, message: string): Refusal {
  return new Refusal(400, code, message);
}

/** An answer in JSON. */
export function jsonAnswer(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return textAnswer(status, JSON.stringify(body), headers);
}

/** An answer whose body is JSON already. */
export function textAnswer(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: { ...guardHeaders, "Content-Type": "application/json", "X-Content-Type-Options": "nosniff", ...headers },
    body,
  };
}

/** An answer about the token, in the form of RFC 6750. */
export function oauthAnswer(
  status: number,
  error: string,
  description: string,
  headers: Record<string, string> = {},
): Answer {
  return jsonAnswer(status, { error, error_description: description }, headers);
}

/** The text of a JSON-RPC error. The id is as it stood in the request: a parsed one may have lost digits. */
export function rpcErrorText(id: string | undefined, error: RPCError): string {
  return `{"jsonrpc":"2.0","id":${id ?? "null"},"error":${JSON.stringify(error)}}`;
}

/**
 * A JSON-RPC error. It is one even under a 4xx status: SDKs that find it fail the one call, those that do not give
 * up the connection.
 */
export function rpcErrorAnswer(
  status: number,
  id: string | undefined,
  error: RPCError,
  headers: Record<string, string> = {},
): Answer {
  return textAnswer(status, rpcErrorText(id, error), headers);
}

/**
 * Browser-based hosts call from their own origin. Nothing depends on cookies, so any may; the bearer token is what
 * counts.
 */
export const corsHeaders = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": "WWW-Authenticate, Mcp-Session-Id",
} as const;

/** Answers depend on the token and are never to be kept by anyone in between. */
export const guardHeaders = { ...corsHeaders, "Cache-Control": "no-store", Vary: "Authorization" } as const;

const allowedHeaders =
  "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID";
const allowedMethods = "GET, HEAD, POST, DELETE, OPTIONS";
const maxParamNames = 64;

/** Answers OPTIONS, which browsers send without the token: before authentication, or they never get to it. */
export function preflight(requested: string): Answer {
  return {
    status: 204,
    headers: {
      ...corsHeaders,
      "Access-Control-Allow-Methods": allowedMethods,
      "Access-Control-Allow-Headers": allowedHeaders + paramHeaders(requested),
      "Access-Control-Max-Age": "86400",
      "Cache-Control": "no-store",
      Vary: "Access-Control-Request-Headers",
    },
  };
}

/**
 * Allows the Mcp-Param-* headers a browser asks for: their names are the server's to choose (MCP 2026-07-28, custom
 * headers from tool parameters), so no fixed list can hold them.
 */
function paramHeaders(requested: string): string {
  return requested
    .split(",", maxParamNames)
    .map((name) => name.trim().toLowerCase())
    .filter((name) => /^mcp-param-[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name))
    .map((name) => ", " + name)
    .join("");
}

/** Answers a method nothing is done for. */
export function methodNotAllowed(allow: string = allowedMethods): Answer {
  return { status: 405, headers: { ...corsHeaders, Allow: allow, "Cache-Control": "no-store" } };
}

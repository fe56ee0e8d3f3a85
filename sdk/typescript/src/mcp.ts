import { authInfoOf, type AuthInfo } from "./grant.js";
import type { Ostiary } from "./ostiary.js";
import { TokenError, type Grant } from "./token.js";
import { isShadowable } from "./verdict.js";

/** The token verifier that `requireBearerAuth` of the official MCP SDK takes, 1.x and 2.x. */
export interface TokenVerifier {
  verifyAccessToken(token: string): Promise<AuthInfo>;
}

/**
 * Makes a token verifier for the official MCP SDK. Grants arrive in handlers as `authInfo.extra.grant`. invalidToken
 * makes the SDK's own error, by which it knows to answer 401:
 *
 * - SDK 1.x: `mcpVerifier(ostiary, (message) => new InvalidTokenError(message))`
 * - SDK 2.x: `mcpVerifier(ostiary, (message) => new OAuthError(OAuthErrorCode.InvalidToken, message))`
 *
 * A verifier decides about tokens only; which tools they open is decided by `enforce`, or by the middlewares instead
 * of both.
 */
export function mcpVerifier(ostiary: Ostiary, invalidToken: (message: string) => Error): TokenVerifier {
  return {
    async verifyAccessToken(token) {
      try {
        const grant = await ostiary.verify(token);
        return authInfoOf(grant, ostiary.view().resource, token);
      } catch (e) {
        // Who is stopped has a good token, and would be sent for a new one in vain: the SDK answers 500 to what it
        // does not know.
        throw e instanceof TokenError ? invalidToken(e.message) : e;
      }
    },
  };
}

/** What a tool handler of the official MCP SDK is told about its caller: `extra` in 1.x, `ctx` in 2.x. */
export interface ToolContext {
  authInfo?: { extra?: Record<string, unknown> };
  http?: { authInfo?: { extra?: Record<string, unknown> } };
}

/** A tool's answer that says why it was not run. */
export interface Denied {
  [key: string]: unknown;
  content: { type: "text"; text: string }[];
  isError: true;
}

/**
 * Wraps a tool's handler so that it runs only for callers the policy lets: `enforce(ostiary, "run_query", handler)`.
 * Others get a result that says what is missing. Works with every transport that hands authInfo on; where the
 * middlewares stand in front, it is not needed.
 */
export function enforce<Args extends unknown[], Result>(
  ostiary: Ostiary,
  tool: string,
  handler: (...args: Args) => Result | Promise<Result>,
): (...args: Args) => Promise<Result | Denied> {
  return async (...args) => {
    const grant = grantIn(args.at(-1));
    const refusal = grant === undefined ? "This tool needs an access token" : refusalOf(ostiary, tool, grant);
    return refusal === undefined ? handler(...args) : { content: [{ type: "text", text: refusal }], isError: true };
  };
}

function refusalOf(ostiary: Ostiary, tool: string, grant: Grant): string | undefined {
  const { allowed, reason, required } = ostiary.judge({ kind: "tool", name: tool }, grant);
  if (allowed || (ostiary.view().shadow && isShadowable(reason))) {
    return undefined;
  }
  switch (reason) {
    case "insufficient_scope":
      return "This call needs the permission " + required.join(", ");
    case "stopped":
      return "This is stopped by an administrator. Do not try again until it is allowed.";
    case "revoked":
      return "The access token has been revoked";
    case "out_of_contact":
      return "This cannot be allowed right now, because the permissions have not been confirmed for too long";
    default:
      return `Unknown tool: ${tool}`;
  }
}

/** A scope challenge of the official MCP SDK 2.x. */
export interface ScopeChallenge {
  scopes: [string, ...string[]];
  errorDescription: string;
}

/**
 * The `scopeChallenge` of a tool in the official MCP SDK 2.x: it answers 403 with the permissions a call needs,
 * before the tool runs. Use it together with `enforce`, which also refuses what no permission opens.
 */
export function scopeChallenge(
  ostiary: Ostiary,
  tool: string,
): (context: { authInfo?: { extra?: Record<string, unknown> } }) => ScopeChallenge | undefined {
  return (context) => {
    const grant = grantIn(context);
    if (grant === undefined || ostiary.view().shadow) {
      return undefined;
    }
    const { reason, required } = ostiary.judge({ kind: "tool", name: tool }, grant);
    const [first, ...rest] = required;
    if (reason !== "insufficient_scope" || first === undefined) {
      return undefined;
    }
    return { scopes: [first, ...rest], errorDescription: "This call needs the permission " + required.join(", ") };
  };
}

/** The grant that a verifier or a middleware put into authInfo. */
function grantIn(context: unknown): Grant | undefined {
  const { authInfo, http } = (context ?? {}) as ToolContext;
  return (authInfo ?? http?.authInfo)?.extra?.["grant"] as Grant | undefined;
}

import {
  jsonAnswer,
  oauthAnswer,
  rpc,
  rpcErrorAnswer,
  rpcErrorText,
  textAnswer,
  type Answer,
  type RPCError,
} from "./answer.js";
import { challengeHeader, scopeValue, shortened, type Challenge } from "./challenge.js";
import { onlyID, type Body } from "./inspect.js";
import type { View } from "./site.js";
import type { Grant } from "./token.js";
import type { Verdict } from "./verdict.js";

// Messages of the kill switch and of an issuer that is silent. They reach people, and models that act for them.
const stoppedMessage = "Access is stopped by an administrator. Do not try again until it is allowed.";
const stoppedTool = "This is stopped by an administrator. Do not try again until it is allowed.";
const silentMessage = "This cannot be allowed right now, because the permissions have not been confirmed for too long";

/** The host whose clients read a challenge out of a tool's result. */
const resultDialect = "chatgpt";

/** Where a client called, as far as answers depend on it. */
export interface Called {
  readonly host: string;
  readonly path: string;
}

/** Answers 401 and says where to get a token, and what to ask for to begin with. */
export function unauthorized(view: View, at: Called, description?: string): Answer {
  const challenge: Challenge = {
    scopes: view.baseline,
    metadataURL: view.metadataURL(at.host, at.path),
    ...(description !== undefined && { error: "invalid_token", description }),
  };
  const headers = { "WWW-Authenticate": challengeHeader(challenge) };
  return description === undefined
    ? oauthAnswer(401, "unauthorized", "This MCP server needs an access token", headers)
    : oauthAnswer(401, "invalid_token", description, headers);
}

/**
 * Answers for a token whose grant, user, organization or client has ended. The client is to get a new one, or to be
 * told by the issuer that it cannot.
 */
export function revoked(view: View, at: Called): Answer {
  return unauthorized(view, at, "The access token has been revoked");
}

/** Answers when nobody can tell whether the token is good. Not 401: the client would throw the token away. */
export function unavailable(): Answer {
  return oauthAnswer(503, "temporarily_unavailable", "The access token cannot be checked right now", {
    "Retry-After": "5",
  });
}

/**
 * Answers everyone a stop is about. It is an error of the call, without a challenge and without 403 where a call
 * waits for an answer: there is no permission to ask for.
 */
export function stoppedSubject(body: Body | undefined): Answer {
  const answers = answersTo(body, () => ({ code: rpc.stopped, message: stoppedMessage }));
  return answered(body, answers) ?? oauthAnswer(403, "access_stopped", stoppedMessage);
}

/** Answers a verdict; undefined when the request goes on. */
export function denialOf(view: View, at: Called, body: Body | undefined, grant: Grant, v: Verdict): Answer | undefined {
  if (!v.denied || body === undefined) {
    return undefined;
  }
  // What no permission and no patience helps comes first, then patience, then permission.
  if (v.hopeless) {
    return hopeless(body, v);
  }
  if (v.silent) {
    const error = { code: rpc.outOfContact, message: silentMessage };
    return rpcErrorAnswer(503, onlyID(body), error, { "Retry-After": "30" });
  }
  return insufficient(body, grant, {
    error: "insufficient_scope",
    scopes: v.required,
    metadataURL: view.metadataURL(at.host, at.path),
    description: "This call needs the permission " + v.required.join(", "),
  });
}

/** Asks for more (MCP 2026-07-28, scope challenge handling). */
function insufficient(body: Body, grant: Grant, c: Challenge): Answer {
  const header = challengeHeader(c);
  const message = c.description ?? "";
  const [only] = body.messages;
  if (grant.host === resultDialect && !body.batch && only?.method === "tools/call" && only.kind === "request") {
    const result = {
      content: [{ type: "text", text: message }],
      isError: true,
      _meta: { "mcp/www_authenticate": [header] },
    };
    return textAnswer(200, `{"jsonrpc":"2.0","id":${only.id ?? "null"},"result":${JSON.stringify(result)}}`);
  }
  const data = { error: c.error, scope: scopeValue(c.scopes) };
  return rpcErrorAnswer(
    403,
    onlyID(body),
    { code: rpc.insufficientScope, message, data },
    { "WWW-Authenticate": header },
  );
}

/**
 * Refuses what no scope opens. It is an answer to the call, not a challenge: a client that is sent to ask for
 * permission comes back with the same call for ever.
 */
function hopeless(body: Body, v: Verdict): Answer {
  const errors = new Map<number, RPCError>();
  for (const call of v.calls) {
    const error = call.denied ? errorOf(call) : undefined;
    if (error !== undefined && !errors.has(call.message)) {
      errors.set(call.message, error);
    }
  }
  const answers = answersTo(
    body,
    (i) => errors.get(i) ?? { code: rpc.batchRefused, message: "The batch was not carried out" },
  );
  const [first] = errors.values();
  // Without an id there is nobody to answer, but it is not accepted either.
  return (
    answered(body, answers) ?? rpcErrorAnswer(400, undefined, first ?? { code: rpc.invalidRequest, message: "Refused" })
  );
}

function errorOf(c: Verdict["calls"][number]): RPCError | undefined {
  switch (c.decision.reason) {
    case "stopped":
      return { code: rpc.stopped, message: stoppedTool };
    case "unknown_tool":
    case "unmapped_tool": {
      const kind = c.target.kind === "content" ? "resource" : c.target.kind;
      return { code: rpc.invalidParams, message: `Unknown ${kind}: ${shortened(c.target.name)}` };
    }
    default:
      return undefined;
  }
}

/** The answers to the requests of a body. */
function answersTo(body: Body | undefined, errorFor: (message: number) => RPCError): string[] {
  return (body?.messages ?? []).flatMap((m, i) => (m.kind === "request" ? [rpcErrorText(m.id, errorFor(i))] : []));
}

function answered(body: Body | undefined, answers: readonly string[]): Answer | undefined {
  if (answers[0] === undefined) {
    return undefined;
  }
  return textAnswer(200, body?.batch === true ? `[${answers.join(",")}]` : answers[0]);
}

/** Answers when the server below the guard made something that may not go out. */
export function serverFailed(id: string | undefined, message: string): Answer {
  return rpcErrorAnswer(502, id, { code: rpc.serverFailed, message });
}

/** Answers a request that uses somebody else's session. */
export function sessionNotFound(id: string | undefined): Answer {
  return rpcErrorAnswer(404, id, { code: rpc.sessionNotFound, message: "Session not found" });
}

/** Answers a token where none may be (RFC 6750 §2.3, forbidden by MCP). */
export function tokenInQuery(): Answer {
  return jsonAnswer(400, {
    error: "invalid_request",
    error_description: "Access tokens are accepted in the Authorization header only",
  });
}

import { AsyncLocalStorage } from "node:async_hooks";

import type { Grant } from "./token.js";

const current = new AsyncLocalStorage<Grant>();
const byRequest = new WeakMap<object, Grant>();

/**
 * Who calls, in everything that runs below a middleware for one request. Throws elsewhere, so that a handler that
 * was left unprotected fails instead of serving everybody.
 */
export function currentGrant(): Grant {
  const grant = current.getStore();
  if (grant === undefined) {
    throw new Error("ostiary: there is no protected request here; is a middleware in front of this handler?");
  }
  return grant;
}

/** Who makes a request that a middleware has let through: a fetch Request, or the request of Express or node:http. */
export function grantOf(request: object): Grant | undefined {
  return byRequest.get(request);
}

/** Runs f with the grant of a request. */
export function withGrant<T>(request: object, grant: Grant, f: () => T): T {
  byRequest.set(request, grant);
  return current.run(grant, f);
}

/** The AuthInfo of the official MCP SDK, 1.x and 2.x. Its token is empty: a server below is not to have it. */
export interface AuthInfo {
  token: string;
  clientId: string;
  scopes: string[];
  expiresAt: number;
  resource: URL;
  extra: { grant: Grant };
}

/** What handlers of the official MCP SDK get as authInfo. */
export function authInfoOf(grant: Grant, resource: string | URL, token = ""): AuthInfo {
  return {
    token,
    clientId: grant.client,
    scopes: [...grant.scopes],
    expiresAt: Math.floor(grant.expiresAt.getTime() / 1000),
    resource: typeof resource === "string" ? new URL(resource) : resource,
    extra: { grant },
  };
}

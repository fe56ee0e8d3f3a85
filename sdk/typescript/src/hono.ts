import { FetchGuard } from "./fetch.js";
import { authInfoOf, type AuthInfo } from "./grant.js";
import { Ostiary } from "./ostiary.js";
import type { OstiaryOptions } from "./options.js";
import type { Grant } from "./token.js";

/** What the middleware needs of Hono's Context. */
interface Context {
  req: { raw: Request };
  res: Response;
  set(key: string, value: unknown): void;
}

/** Variables that handlers below find in the context: `new Hono<{ Variables: OstiaryVariables }>()`. */
export interface OstiaryVariables {
  grant: Grant;
  auth: AuthInfo;
}

/**
 * Protects what comes below it in Hono: `app.use("*", ostiaryHono({ issuer, resourceId }))`, or on both the MCP
 * endpoint and `/.well-known/oauth-protected-resource/*`. Use it before anything that reads the body.
 */
export function ostiaryHono(
  options: Ostiary | OstiaryOptions,
): (c: Context, next: () => Promise<void>) => Promise<Response | undefined> {
  const ostiary = options instanceof Ostiary ? options : new Ostiary(options);
  const guard = new FetchGuard(ostiary);
  return async (c, next) => {
    let passed = false;
    const pass = async (): Promise<Response> => {
      passed = true;
      await next();
      return c.res;
    };
    const response = await guard.handle(
      c.req.raw,
      (inner, grant) => {
        c.req.raw = inner;
        c.set("grant", grant);
        c.set("auth", authInfoOf(grant, ostiary.view().resource));
        return pass();
      },
      pass,
    );
    if (!passed) {
      return response;
    }
    if (response === c.res) {
      return undefined;
    }
    c.res = undefined as unknown as Response; // else Hono adds the headers of the former answer to the new one
    c.res = response;
    return undefined;
  };
}

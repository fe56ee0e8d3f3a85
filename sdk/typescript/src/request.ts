import { Refusal } from "./answer.js";
import type { Called } from "./denial.js";
import { checkMirror, inspect, type Body } from "./inspect.js";
import { TokenError } from "./token.js";

/** A request as the guard judges it, whatever framework it came through. */
export interface Incoming extends Called {
  readonly method: string;
  /** Raw, without the question mark. */
  readonly query: string;
  /** Every value of a header. */
  values(name: string): readonly string[];
  /** Whether there is a body, or may be. */
  readonly hasBody: boolean;
  /** Reads the body, or throws a Refusal. */
  read(): Promise<Uint8Array>;
}

/** Reads what a request asks for. Only POST has a body. */
export async function readRequest(r: Incoming): Promise<{ bytes?: Uint8Array; body?: Body; refusal?: Refusal }> {
  try {
    if (r.method !== "POST") {
      if (r.hasBody) {
        // only for a server that reads a body where it should not
        throw new Refusal(400, -32600, `${r.method} has no body`);
      }
      return {};
    }
    if (!isJSON(r)) {
      throw new Refusal(415, -32600, "the body must be application/json, UTF-8, without content encoding");
    }
    const bytes = await r.read();
    const body = inspect(bytes);
    checkMirror(r.values("mcp-method"), r.values("mcp-name"), body);
    return { bytes, body };
  } catch (e) {
    if (e instanceof Refusal) {
      return { refusal: e };
    }
    throw e;
  }
}

/** Holds the body to what the inspection reads: another charset or a content encoding would hide it. */
function isJSON(r: Incoming): boolean {
  const types = r.values("content-type");
  const [, params] = mediaType.exec(types[0] ?? "") ?? [];
  const charsets = [...(params ?? "").matchAll(/;\s*charset\s*=\s*"?([^\s;"]*)/gi)].map((m) => m[1]?.toLowerCase());
  const isPlain = params !== undefined && charsets.length <= 1 && charsets.every((c) => c === "utf-8");
  const encodings = r.values("content-encoding").every((e) => e === "" || e.toLowerCase() === "identity");
  return types.length === 1 && isPlain && encodings;
}

// RFC 9110 §8.3.1, parameters in any form.
const mediaType =
  /^\s*application\/json\s*((?:;\s*(?:[\w!#$%&'*+.^`|~-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+)\s*)?)*)$/i;

/** Finds an access token where none may be (RFC 6750 §2.3, forbidden by MCP), however it is spelled. */
export function hasTokenInQuery(query: string): boolean {
  if (query === "") {
    return false;
  }
  return query.split(/[&;]/).some((pair) => {
    const key = (pair.split("=", 1)[0] ?? "").replaceAll("+", " ");
    let plain = key;
    try {
      plain = decodeURIComponent(key);
    } catch {
      // not a spelling any server would read as the token's name
    }
    return plain.trim().toLowerCase() === "access_token";
  });
}

/** Takes the token out of the Authorization headers; undefined when none was presented. Throws a TokenError. */
export function bearer(values: readonly string[]): string | undefined {
  const [value] = values;
  if (value === undefined) {
    return undefined;
  }
  const [, scheme = "", rest = ""] = /^(\S*)(?: +(.*))?$/s.exec(value.trim()) ?? [];
  if (values.length === 1 && scheme.toLowerCase() !== "bearer") {
    return undefined;
  }
  if (values.length > 1 || rest === "" || /[ \t,]/.test(rest)) {
    // RFC 6750 §2: one method, once
    throw new TokenError("The access token is not valid");
  }
  return rest;
}

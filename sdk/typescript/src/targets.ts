import { bad, rpc } from "./answer.js";
import { eachElement, eachMember, textOf } from "./json/scan.js";
import type { Target } from "./policy/judge.js";

const maxSubscriptions = 100;

/** Methods whose answers are lists of what the policy maps. */
export const listMethods = new Set(["tools/list", "prompts/list", "resources/list", "resources/templates/list"]);

/** The member of params that Mcp-Name repeats (MCP 2026-07-28, standard request headers). */
export function nameKey(method: string): "name" | "uri" | undefined {
  switch (method) {
    case "tools/call":
    case "prompts/get":
      return "name";
    case "resources/read":
      return "uri";
    default:
      return undefined;
  }
}

/** Says whether a method names what the policy decides about. */
export function isAboutSomething(method: string): boolean {
  return (
    nameKey(method) !== undefined ||
    method === "resources/subscribe" ||
    method === "completion/complete" ||
    method === "subscriptions/listen"
  );
}

/** Reads what a message is about, or throws a Refusal. */
export function targetsOf(method: string, params: string | undefined): Target[] {
  switch (method) {
    case "tools/call":
      return [one(method, params, "tool", "name")];
    case "prompts/get":
      return [one(method, params, "prompt", "name")];
    case "resources/read":
    case "resources/subscribe":
      return [one(method, params, "content", "uri")];
    case "completion/complete":
      return completion(method, params);
    case "subscriptions/listen":
      return subscriptions(method, params);
    default:
      return [];
  }
}

/** Reads the member of params that names the only target. */
function one(method: string, params: string | undefined, kind: string, key: string): Target {
  const name = textOf(member(params, key) ?? "");
  if (name === undefined || name === "") {
    throw bad(rpc.invalidParams, `${method} needs params.${key}`);
  }
  return { kind, name };
}

/**
 * Reads params.ref: the arguments of a prompt or of a content's URI template are as secret as they are. Without a
 * ref there is nothing to complete, and no server does.
 */
function completion(method: string, params: string | undefined): Target[] {
  const ref = object(params, "ref");
  if (ref === undefined) {
    return [];
  }
  const [type, name, uri] = ["type", "name", "uri"].map((key) => textOf(member(ref, key) ?? ""));
  if (type === "ref/prompt" && name !== undefined && name !== "") {
    return [{ kind: "prompt", name }];
  }
  if (type === "ref/resource" && uri !== undefined && uri !== "") {
    return [{ kind: "content", name: uri }];
  }
  throw bad(rpc.invalidParams, `${method} has a params.ref that is neither a prompt nor a resource`);
}

/** Reads params.notifications.resourceSubscriptions, a list of URIs. */
function subscriptions(method: string, params: string | undefined): Target[] {
  const key = "resourceSubscriptions";
  const list = member(object(params, "notifications"), key);
  if (list === undefined || list === "null") {
    return [];
  }
  const malformed = bad(rpc.invalidParams, `${method} has a params.notifications.${key} that is not a list of URIs`);
  if (!list.startsWith("[")) {
    throw malformed;
  }
  const targets: Target[] = [];
  eachElement(list, 0, (start, end) => {
    const name = textOf(list.slice(start, end));
    if (name === undefined || name === "" || targets.length === maxSubscriptions) {
      throw malformed;
    }
    targets.push({ kind: "content", name });
  });
  return targets;
}

/** The member of params that is an object, undefined when it is absent or null. */
export function object(params: string | undefined, key: string): string | undefined {
  const value = member(params, key);
  if (value === undefined || value === "null") {
    return undefined;
  }
  if (!value.startsWith("{")) {
    throw bad(rpc.invalidParams, `params.${key} is not an object`);
  }
  return value;
}

/**
 * The value of a key as it stands, undefined when it is absent. A key that differs from it only in case is refused.
 */
function member(text: string | undefined, wanted: string): string | undefined {
  if (text?.startsWith("{") !== true) {
    return undefined;
  }
  let value: string | undefined;
  eachMember(text, 0, (key, start, end) => {
    if (key === wanted) {
      value = text.slice(start, end);
    } else if (key.length === wanted.length && foldsInto(key, wanted)) {
      throw bad(rpc.invalidParams, "the params have a key in unusual case");
    }
  });
  return value;
}

// With the flags i and u, letters match all they fold into: the long s is an s, the Kelvin sign a k. All of those
// are one UTF-16 unit, as the letters are. The keys are letters only.
function foldsInto(key: string, wanted: string): boolean {
  return new RegExp(`^${wanted}$`, "iu").test(key);
}

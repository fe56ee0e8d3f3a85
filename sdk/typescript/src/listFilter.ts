import { checkJSON, decodeUTF8, eachElement, eachMember, skipSpace, textOf } from "./json/scan.js";
import type { Target } from "./policy/judge.js";

/** Generous: tool schemas nest. */
const maxResponseDepth = 512;

/** Says whether a list may name a target. */
export type Keeps = (target: Target) => boolean;

/** The lists of MCP: the member of result they are in, the member that names each entry, and what it is judged as. */
const listsByMember = new Map([
  ["tools", { name: "name", kind: "tool" }],
  ["prompts", { name: "name", kind: "prompt" }],
  ["resources", { name: "uri", kind: "content" }],
  ["resourceTemplates", { name: "uriTemplate", kind: "content" }],
]);

/** Replaces a range of the original. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly with: string;
}

/**
 * Takes out of a JSON-RPC answer, or a batch of them, what its lists may not name. It edits in place: what it
 * leaves, it leaves as it was. Throws a JSONProblem for what two parsers could read differently.
 */
export function filterText(text: string, keeps: Keeps): string {
  checkJSON(text, maxResponseDepth);
  const edits: Edit[] = [];
  const at = skipSpace(text, 0);
  if (text.charAt(at) === "{") {
    filterMessage(text, at, keeps, edits);
  } else if (text.charAt(at) === "[") {
    eachElement(text, at, (start) => {
      if (text.charAt(start) === "{") {
        filterMessage(text, start, keeps, edits);
      }
    });
  }
  return applied(text, edits);
}

/** The same for UTF-8. */
export function filterBytes(bytes: Uint8Array, keeps: Keeps): string {
  return filterText(decodeUTF8(bytes), keeps);
}

/** Looks for lists in result. The shape decides, not the id: on a resumed stream nobody knows what was asked. */
function filterMessage(text: string, at: number, keeps: Keeps, edits: Edit[]): void {
  let result = -1;
  eachMember(text, at, (key, start) => {
    if (key === "result" && text.charAt(start) === "{") {
      result = start;
    }
  });
  if (result < 0) {
    return;
  }
  const found: Edit[] = [];
  let isList = false;
  let cacheable = false;
  let scoped = false;
  eachMember(text, result, (key, start, end) => {
    const list = listsByMember.get(key);
    if (list !== undefined && text.charAt(start) === "[") {
      isList = true;
      found.push({ start, end, with: filteredList(text, start, list, keeps) });
    } else if (key === "cacheScope") {
      scoped = true;
      found.push({ start, end, with: '"private"' });
    } else if (key === "ttlMs") {
      cacheable = true;
    }
  });
  if (!isList) {
    return;
  }
  // The list depends on the token, so it may be kept for this user only; not said means for everyone (MCP
  // 2026-07-28, caching).
  if (cacheable && !scoped) {
    edits.push({ start: result + 1, end: result + 1, with: '"cacheScope":"private",' });
  }
  edits.push(...found);
}

function filteredList(text: string, at: number, list: { name: string; kind: string }, keeps: Keeps): string {
  const kept: string[] = [];
  eachElement(text, at, (start, end) => {
    if (text.charAt(start) !== "{") {
      return;
    }
    let name = "";
    eachMember(text, start, (key, from, to) => {
      if (key === list.name) {
        name = textOf(text.slice(from, to)) ?? "";
      }
    });
    if (keeps({ kind: list.kind, name })) {
      kept.push(text.slice(start, end));
    }
  });
  return "[" + kept.join(",") + "]";
}

/** The text with edits made, which are in order and apart. */
function applied(text: string, edits: readonly Edit[]): string {
  let out = "";
  let from = 0;
  for (const edit of edits) {
    out += text.slice(from, edit.start) + edit.with;
    from = edit.end;
  }
  return out + text.slice(from);
}

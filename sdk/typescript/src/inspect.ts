import { bad, Refusal, rpc } from "./answer.js";
import { checkJSON, decodeUTF8, eachElement, eachMember, JSONProblem, skipSpace, textOf } from "./json/scan.js";
import type { Target } from "./policy/judge.js";
import { isAboutSomething, listMethods, nameKey, targetsOf } from "./targets.js";

const maxRequestDepth = 128;
const maxBatch = 100;
const maxMethodLength = 128;

/** What the guard needs to know of one JSON-RPC message. */
export interface Message {
  /** A `reply` is the answer of a client to a server's request; what has a method and no id is a `notification`. */
  readonly kind: "request" | "notification" | "reply";
  readonly method: string;
  /** What Mcp-Name says: params.name, or params.uri of resources/read. */
  readonly name: string | undefined;
  /** What the policy decides about. Of a notification too: some servers do not mind that it has no id. */
  readonly targets: readonly Target[];
  /** As they stand in the body; undefined when absent. */
  readonly params: string | undefined;
  readonly id: string | undefined;
}

/** An inspected request body. */
export interface Body {
  readonly text: string;
  readonly messages: readonly Message[];
  readonly batch: boolean;
}

/** The id of the only message, for error answers. */
export function onlyID(body: Body): string | undefined {
  return body.batch ? undefined : body.messages[0]?.id;
}

/** Says whether a body has a message of one of methods. */
export function hasMethod(body: Body, ...methods: string[]): boolean {
  return body.messages.some((m) => methods.includes(m.method));
}

/** Reads a request body, or throws a Refusal. */
export function inspect(bytes: Uint8Array): Body {
  let text: string;
  try {
    text = decodeUTF8(bytes);
    checkJSON(text, maxRequestDepth);
  } catch (e) {
    throw e instanceof JSONProblem ? bad(rpc.parseError, e.message) : e;
  }
  const at = skipSpace(text, 0);
  switch (text.charAt(at)) {
    case "{":
      return { text, messages: [readMessage(text, at)], batch: false };
    case "[":
      return { text, messages: readBatch(text, at), batch: true };
    default:
      throw bad(rpc.invalidRequest, "the body is not a JSON-RPC message");
  }
}

function readBatch(text: string, at: number): Message[] {
  const messages: Message[] = [];
  eachElement(text, at, (start) => {
    if (text.charAt(start) !== "{") {
      throw bad(rpc.invalidRequest, "the batch contains something that is not a JSON-RPC message");
    }
    if (messages.length === maxBatch) {
      throw bad(rpc.invalidRequest, `the batch has more than ${maxBatch} messages`);
    }
    messages.push(readMessage(text, start));
  });
  if (messages.length === 0) {
    throw bad(rpc.invalidRequest, "the batch is empty");
  }
  return messages;
}

/** The raw shape of a JSON-RPC message. */
interface Envelope {
  version?: string;
  method?: string;
  params?: string;
  id?: string;
  result?: boolean;
  failed?: boolean;
}

function readMessage(text: string, at: number): Message {
  const e = readEnvelope(text, at);
  if (e.version !== '"2.0"') {
    throw bad(rpc.invalidRequest, 'the message does not say "jsonrpc": "2.0"');
  }
  if (e.id !== undefined && !/^["\-0-9]/.test(e.id) && e.id !== "null") {
    throw bad(rpc.invalidRequest, "the id is neither a string nor a number");
  }
  const answers = e.result === true || e.failed === true;
  if (e.method === undefined) {
    if (!answers || (e.result === true && e.failed === true) || e.id === undefined || e.params !== undefined) {
      throw bad(rpc.invalidRequest, "the message is neither a request nor a response");
    }
    return { kind: "reply", method: "", name: undefined, targets: [], id: e.id, params: undefined };
  }
  if (answers) {
    throw bad(rpc.invalidRequest, "the message is a request and a response at once");
  }
  return readRequest(e, e.method);
}

/**
 * Finds the members of a message. A key that differs from a known one only in case is refused: some parsers would
 * take it for the known one.
 */
function readEnvelope(text: string, at: number): Envelope {
  const e: Envelope = {};
  eachMember(text, at, (key, start, end) => {
    switch (key) {
      case "jsonrpc":
        e.version = text.slice(start, end);
        break;
      case "method":
        e.method = text.slice(start, end);
        break;
      case "params":
        e.params = text.slice(start, end);
        break;
      case "id":
        e.id = text.slice(start, end);
        break;
      case "result":
        e.result = true;
        break;
      case "error":
        e.failed = text.slice(start, end) !== "null";
        break;
      default:
        if (envelopeKeys.test(key)) {
          throw bad(rpc.invalidRequest, "the message has a key in unusual case");
        }
    }
  });
  return e;
}

// With the flags i and u, letters match all they fold into: the long s is an s, the Kelvin sign a k.
const envelopeKeys = /^(?:jsonrpc|method|params|id|result|error)$/iu;

function readRequest(e: Envelope, quotedMethod: string): Message {
  const kind = e.id === undefined ? "notification" : "request";
  const method = textOf(quotedMethod);
  if (method === undefined || !isSoundMethod(method)) {
    throw bad(rpc.invalidRequest, "the method is not an MCP method");
  }
  if (e.params !== undefined && !e.params.startsWith("{") && (isAboutSomething(method) || e.params !== "null")) {
    throw bad(rpc.invalidRequest, "the params are not an object");
  }
  const targets = targetsOf(method, e.params);
  const name = nameKey(method) === undefined ? undefined : targets[0]?.name;
  return { kind, method, name, targets, id: e.id, params: e.params };
}

/**
 * Keeps methods to the characters MCP uses, and refuses a spelling of a judged or listing method that a lenient
 * server would accept and the guard would not recognize.
 */
function isSoundMethod(method: string): boolean {
  if (method.length > maxMethodLength || !/^[A-Za-z0-9/_\-.$]+$/.test(method)) {
    return false;
  }
  const plain = method.replace(/^\/+|\/+$/g, "").toLowerCase();
  return plain === method || !(isAboutSomething(plain) || listMethods.has(plain));
}

/**
 * Compares Mcp-Method and Mcp-Name, where sent, with the body (MCP 2026-07-28, server validation), or throws a
 * Refusal. Whoever routes or limits by them in front of the server must be able to rely on them.
 */
export function checkMirror(methods: readonly string[], names: readonly string[], body: Body): void {
  if (methods.length === 0 && names.length === 0) {
    return;
  }
  const mismatch = (what: string): Refusal =>
    new Refusal(400, rpc.headerMismatch, "Header mismatch: " + what, onlyID(body));
  const [m] = body.messages;
  if (methods.length > 1 || names.length > 1 || body.batch || m === undefined) {
    throw mismatch("Mcp-Method and Mcp-Name describe exactly one message");
  }
  if (methods[0] !== undefined && methods[0] !== m.method) {
    throw mismatch("Mcp-Method does not match the body");
  }
  if (names[0] !== undefined && nameKey(m.method) !== undefined && decodeHeader(names[0]) !== m.name) {
    throw mismatch("Mcp-Name does not match the body");
  }
}

/** Undoes the Base64 sentinel encoding (MCP 2026-07-28, value encoding). */
function decodeHeader(value: string): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/s.exec(value)?.[1];
  if (encoded === undefined) {
    return value;
  }
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded)) {
    return undefined;
  }
  try {
    return decodeUTF8(Buffer.from(encoded, "base64"));
  } catch {
    return undefined;
  }
}

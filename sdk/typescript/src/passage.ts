import { guardHeaders, type Answer } from "./answer.js";
import { onlyID, type Body } from "./inspect.js";
import type { Keeps } from "./listFilter.js";
import { reasonOf } from "./log.js";
import type { Ostiary } from "./ostiary.js";
import type { Grant } from "./token.js";

/** A request that may go on. */
export class Passage {
  readonly grant: Grant;
  /** The body as it came; undefined for methods without one. */
  readonly bytes: Uint8Array | undefined;
  readonly body: Body | undefined;
  /** What lists in the answer may name; undefined when the answer holds none. */
  readonly keeps: Keeps | undefined;
  /** Whether the answer may be a list in plain JSON; in answers to GET lists are in event streams only. */
  readonly isPost: boolean;
  readonly #ostiary: Ostiary;
  readonly #report: (status: number) => void;
  readonly #endedAnswer: () => Answer;
  #reported = false;

  constructor(
    ostiary: Ostiary,
    o: Pick<Passage, "grant" | "bytes" | "body" | "keeps" | "isPost" | "endedAnswer">,
    report: (status: number) => void,
  ) {
    this.grant = o.grant;
    this.bytes = o.bytes;
    this.body = o.body;
    this.keeps = o.keeps;
    this.isPost = o.isPost;
    this.#endedAnswer = o.endedAnswer;
    this.#ostiary = ostiary;
    this.#report = report;
  }

  /** The id of the only message, for error answers. */
  get id(): string | undefined {
    return this.body === undefined ? undefined : onlyID(this.body);
  }

  /** Notes that the answer begins: whose session it names, and that the calls were answered. */
  begins(status: number, session: string | undefined): void {
    this.#ostiary.sessions.note(session, this.grant);
    this.report(status);
  }

  /** Reports the calls, once. 0 says that there was no answer. */
  report(status: number): void {
    if (!this.#reported) {
      this.#reported = true;
      this.#report(status);
    }
  }

  /** Calls ended once the grant is revoked or stopped. Returns what takes that back. */
  onEnded(ended: () => void): () => void {
    return this.#ostiary.onEnded(this.grant, ended);
  }

  /** The answer to a request whose grant ended before there was one. */
  endedAnswer(): Answer {
    return this.#endedAnswer();
  }

  /** Says that a list was withheld. */
  withheld(e: unknown): void {
    this.#ostiary.log.error("a list could not be filtered and was withheld", { error: reasonOf(e) });
  }
}

/** Headers every answer gets, whoever makes it; those of an event stream say that nobody may hold it back. */
export function answerHeaders(contentType: string): Record<string, string> {
  return isEventStream(contentType)
    ? { ...guardHeaders, "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no" }
    : guardHeaders;
}

/** Says whether a media type is that of server-sent events. */
export function isEventStream(contentType: string): boolean {
  return /^\s*text\/event-stream\s*(?:;|$)/i.test(contentType);
}

/**
 * Says whether a client must not be able to say a header to the MCP server: its token (MCP forbids passing it on),
 * identity headers, a second HTTP method, a protocol switch past the inspection. Names with an underscore go too: to
 * some servers they are those with a hyphen.
 */
export function isStripped(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith("ostiary-") || lower.includes("_") || stripped.has(lower);
}

const stripped = new Set([
  "authorization",
  "proxy-authorization",
  "connection",
  "upgrade",
  "http2-settings",
  "origin",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
]);

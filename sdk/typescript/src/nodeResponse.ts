import { STATUS_CODES, type OutgoingHttpHeader, type OutgoingHttpHeaders, type ServerResponse } from "node:http";

import type { Answer } from "./answer.js";
import { serverFailed } from "./denial.js";
import { EventFilter } from "./events.js";
import { answerHeaders, isEventStream, type Passage } from "./passage.js";
import { filterBytes } from "./listFilter.js";

const maxListResponse = 16 * 2 ** 20;

/** What happens to the body of an answer. */
type Mode = "pass" | "events" | "collect" | "over";

/**
 * Sees to an answer of node:http as it is written: headers made uncacheable, lists filtered, streams of what has
 * ended ended. Whoever writes notices none of it.
 */
export function guardResponse(res: ServerResponse, passage: Passage): void {
  new NodeResponse(res, passage).install();
}

class NodeResponse {
  readonly #res: ServerResponse;
  readonly #passage: Passage;
  readonly #writeHead: ServerResponse["writeHead"];
  readonly #write: (chunk: Uint8Array, done?: (e?: Error | null) => void) => boolean;
  readonly #end: (done?: () => void) => ServerResponse;
  readonly #flushHeaders: () => void;

  #mode: Mode = "pass";
  #began = false;
  #isStream = false;
  #events: EventFilter | undefined;
  #collected: Buffer[] = [];
  #size = 0;
  #failure: Error | undefined;

  constructor(res: ServerResponse, passage: Passage) {
    this.#res = res;
    this.#passage = passage;
    this.#writeHead = res.writeHead.bind<ServerResponse["writeHead"]>(res);
    this.#write = res.write.bind(res);
    this.#end = res.end.bind(res);
    this.#flushHeaders = res.flushHeaders.bind(res);
  }

  install(): void {
    const res = this.#res;
    const release = this.#passage.onEnded(() => {
      this.#endGrant();
    });
    res.once("close", () => {
      release();
      this.#passage.report(0); // unless the answer began
    });
    res.writeHead = (status: number, ...rest: unknown[]) => {
      this.#takeHead(status, rest);
      return res;
    };
    res.flushHeaders = () => {
      this.#begin();
      if (this.#mode !== "collect") {
        this.#flushHeaders();
      }
    };
    res.write = ((chunk: unknown, ...rest: unknown[]) => {
      const done = rest.find((r) => typeof r === "function") as ((e?: Error | null) => void) | undefined;
      return this.#takeBody(bytesOf(chunk, rest[0]), done);
    }) as ServerResponse["write"];
    res.end = ((...args: unknown[]) => {
      const done = args.find((a) => typeof a === "function") as (() => void) | undefined;
      const [chunk, encoding] = args;
      this.#takeEnd(chunk == null || typeof chunk === "function" ? undefined : bytesOf(chunk, encoding), done);
      return res;
    }) as ServerResponse["end"];
  }

  #takeHead(status: number, rest: readonly unknown[]): void {
    const res = this.#res;
    if (this.#mode === "over") {
      return;
    }
    if (this.#began) {
      this.#writeHead(status); // says itself that it is too late
      return;
    }
    res.statusCode = status;
    const [message, headers] = typeof rest[0] === "string" ? [rest[0], rest[1]] : [undefined, rest[0]];
    if (message !== undefined) {
      res.statusMessage = message;
    }
    setHeaders(res, headers as OutgoingHttpHeaders | OutgoingHttpHeader[] | undefined);
    this.#begin();
    if (this.#mode !== "collect") {
      this.#writeHead(status);
    }
  }

  /** Decides how the body is read, once the headers are known. */
  #begin(): void {
    if (this.#began) {
      return;
    }
    this.#began = true;
    const res = this.#res;
    const session = res.getHeader("Mcp-Session-Id");
    this.#passage.begins(res.statusCode, typeof session === "string" ? session : undefined);
    const type = headerText(res, "Content-Type");
    for (const [name, value] of Object.entries(answerHeaders(type))) {
      res.setHeader(name, value);
    }
    res.removeHeader("Access-Control-Allow-Credentials");
    this.#isStream = isEventStream(type);
    const { keeps } = this.#passage;
    if (keeps === undefined || res.statusCode < 200 || res.statusCode > 299) {
      return;
    }
    res.removeHeader("Content-Length");
    res.removeHeader("ETag");
    if (!/^(?:identity)?$/i.test(headerText(res, "Content-Encoding"))) {
      this.#failure = new Error("the answer is compressed though nobody asked for it");
      this.#mode = "collect";
    } else if (this.#isStream) {
      this.#events = new EventFilter(keeps);
      this.#mode = "events";
    } else if (this.#passage.isPost) {
      this.#mode = "collect";
    }
  }

  #takeBody(chunk: Uint8Array, done?: (e?: Error | null) => void): boolean {
    this.#begin();
    switch (this.#mode) {
      case "pass":
        return this.#write(chunk, done);
      case "over":
        if (done !== undefined) {
          process.nextTick(done);
        }
        return false; // nobody is to wait in a loop for more to write
      case "collect":
        if (done !== undefined) {
          process.nextTick(done);
        }
        return this.#collect(chunk);
      case "events": {
        const out = this.#filtered(() => this.#events?.feed(chunk));
        if (out === undefined || out.byteLength === 0) {
          if (done !== undefined) {
            process.nextTick(done);
          }
          return true;
        }
        return this.#write(out, done);
      }
    }
  }

  /** Keeps a JSON answer for the filter. One that cannot be filtered is not waited for. */
  #collect(chunk: Uint8Array): boolean {
    this.#size += chunk.byteLength;
    if (this.#failure === undefined && this.#size <= maxListResponse) {
      this.#collected.push(Buffer.from(chunk)); // a copy: the writer may use its buffer again
      return true;
    }
    this.#withhold(this.#failure ?? new Error("the list is too large to filter"));
    return false;
  }

  /** Rather no list than one nobody could check. */
  #withhold(e: unknown): void {
    this.#passage.withheld(e);
    this.#collected = [];
    const answer = serverFailed(this.#passage.id, "The MCP server's list could not be read");
    this.#res.removeHeader("Content-Encoding");
    this.#answer(answer);
  }

  /** Answers in place of whoever writes, who notices it by the end of the response. */
  #answer(answer: Answer): void {
    this.#mode = "over";
    setHeaders(this.#res, answer.headers);
    this.#writeHead(answer.status, STATUS_CODES[answer.status]);
    this.#write(Buffer.from(answer.body ?? ""));
    this.#end();
  }

  #takeEnd(chunk: Uint8Array | undefined, done?: () => void): void {
    if (chunk !== undefined) {
      this.#takeBody(chunk);
    }
    this.#begin();
    switch (this.#mode) {
      case "over":
        if (done !== undefined) {
          process.nextTick(done);
        }
        return;
      case "events": {
        const rest = this.#filtered(() => this.#events?.end());
        if (rest === undefined) {
          return; // cut off
        }
        if (rest.byteLength > 0) {
          this.#write(rest);
        }
        break;
      }
      case "collect":
        this.#finishCollected(done);
        return;
      case "pass":
    }
    this.#end(done);
  }

  #finishCollected(done?: () => void): void {
    if (this.#failure !== undefined) {
      this.#withhold(this.#failure);
      return;
    }
    const whole = Buffer.concat(this.#collected);
    const { keeps } = this.#passage;
    let out = whole;
    try {
      const isEmpty = whole.toString("latin1").trim() === "";
      out = isEmpty || keeps === undefined ? whole : Buffer.from(filterBytes(whole, keeps));
    } catch (e) {
      this.#withhold(e);
      return;
    }
    this.#mode = "pass";
    this.#writeHead(this.#res.statusCode);
    if (out.byteLength > 0) {
      this.#write(out);
    }
    this.#end(done);
  }

  /** An event that cannot be filtered ends the stream, before it. */
  #filtered(f: () => Uint8Array | undefined): Uint8Array | undefined {
    try {
      return f();
    } catch (e) {
      this.#passage.withheld(e);
      this.#mode = "over";
      this.#res.destroy();
      return undefined;
    }
  }

  /**
   * Ends what a grant that has ended is still waiting for: with the proper answer where none has begun, else by
   * breaking off a stream. What is no stream finishes: it is one answer to what was allowed.
   */
  #endGrant(): void {
    const res = this.#res;
    if (this.#mode === "over" || res.writableEnded || (this.#began && this.#mode !== "collect" && !this.#isStream)) {
      return;
    }
    if (res.headersSent) {
      this.#mode = "over";
      this.#end();
      return;
    }
    this.#began = true;
    res.getHeaderNames().forEach((name) => {
      res.removeHeader(name);
    });
    const answer = this.#passage.endedAnswer();
    this.#passage.report(answer.status);
    this.#answer(answer);
  }
}

function headerText(res: ServerResponse, name: string): string {
  const value = res.getHeader(name);
  return Array.isArray(value) ? value.join(", ") : String(value ?? "");
}

/** Sets headers in every form that writeHead takes. */
function setHeaders(res: ServerResponse, headers: OutgoingHttpHeaders | OutgoingHttpHeader[] | undefined): void {
  if (Array.isArray(headers)) {
    const flat = headers.flat().map(String);
    const names = flat.filter((_, i) => i % 2 === 0);
    names.forEach((name) => {
      res.removeHeader(name);
    });
    names.forEach((name, i) => res.appendHeader(name, flat[2 * i + 1] ?? ""));
    return;
  }
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (value !== undefined) {
      res.setHeader(name, value);
    }
  }
}

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  return typeof chunk === "string"
    ? Buffer.from(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8")
    : (chunk as Uint8Array);
}

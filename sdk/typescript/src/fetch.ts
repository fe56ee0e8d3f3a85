import { Refusal, rpc, type Answer } from "./answer.js";
import { serverFailed } from "./denial.js";
import { EventFilter } from "./events.js";
import { Guard } from "./guard.js";
import { answerHeaders, isEventStream, isStripped, Passage } from "./passage.js";
import type { Incoming } from "./request.js";
import { withGrant } from "./grant.js";
import { chunksOf, readBounded, TooLarge } from "./issuer/fetch.js";
import { filterBytes } from "./listFilter.js";
import { Ostiary } from "./ostiary.js";
import type { OstiaryOptions } from "./options.js";
import type { Grant } from "./token.js";

/** A handler of web-standard requests, with whatever else a platform hands to it. */
export type FetchHandler<Rest extends unknown[] = []> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>;

const maxListResponse = 16 * 2 ** 20;

/**
 * Protects a fetch-style handler: every request that reaches it carries a good token and is allowed. The metadata
 * URLs are answered here, so let them come here too. Below it `currentGrant()` says who calls.
 */
export function ostiaryFetch<Rest extends unknown[] = []>(
  handler: FetchHandler<Rest>,
  options: Ostiary | OstiaryOptions,
): (request: Request, ...rest: Rest) => Promise<Response> {
  const protect = new FetchGuard(options instanceof Ostiary ? options : new Ostiary(options));
  return (request, ...rest) => {
    const answer = async (inner: Request): Promise<Response> => handler(inner, ...rest);
    return protect.handle(request, answer, answer);
  };
}

/** Does for one request what the guard says, in terms of Request and Response. */
export class FetchGuard {
  readonly #guard: Guard;
  readonly #settings: Ostiary["settings"];

  constructor(ostiary: Ostiary) {
    this.#guard = new Guard(ostiary);
    this.#settings = ostiary.settings;
  }

  /** Answers a request itself, or lets next answer a fresh one. open answers those that need no token. */
  async handle(
    request: Request,
    next: (request: Request, grant: Grant) => Promise<Response>,
    open: (request: Request) => Promise<Response>,
  ): Promise<Response> {
    const decided = await this.#guard.decide(this.#incoming(request));
    if (decided === "public") {
      return open(request);
    }
    if (!(decided instanceof Passage)) {
      return responseOf(decided, request.method);
    }
    const ended = new Ending();
    const release = decided.onEnded(() => {
      ended.end();
    });
    let streams = false;
    try {
      const inner = innerRequest(request, decided, ended);
      const answering = withGrant(inner, decided.grant, () => next(inner, decided.grant));
      const response = await Promise.race([answering, ended.once]);
      if (response === undefined) {
        void answering.then(
          (late) => late.body?.cancel(),
          () => undefined,
        ); // nobody waits for it any more
        const answer = decided.endedAnswer();
        decided.report(answer.status);
        return responseOf(answer);
      }
      const out = await outgoing(response, decided, ended, release);
      streams = out.streams;
      return out.response;
    } finally {
      decided.report(0); // unless the answer began
      if (!streams) {
        release();
      }
    }
  }

  #incoming(request: Request): Incoming {
    const url = new URL(request.url);
    const values = (name: string): string[] => {
      const value = request.headers.get(name);
      return value === null ? [] : [value];
    };
    return {
      method: request.method,
      host: request.headers.get("host") ?? url.host,
      path: url.pathname,
      query: url.search.slice(1),
      values,
      // Some platforms have a stream in every request. What is in one without these never goes on.
      hasBody: (request.headers.get("content-length") ?? "0") !== "0" || request.headers.has("transfer-encoding"),
      read: () => this.#read(request),
    };
  }

  async #read(request: Request): Promise<Uint8Array> {
    if (request.bodyUsed) {
      throw new Error("ostiary: the body was read before; let requests come here first");
    }
    const { maxBody, bodyTimeout } = this.#settings;
    const announced = Number(request.headers.get("content-length") ?? NaN);
    const tooLarge = (): Refusal => new Refusal(413, rpc.invalidRequest, "the body is too large");
    if (announced > maxBody) {
      throw tooLarge();
    }
    const late = new Ending();
    const timer = setTimeout(() => {
      late.end();
    }, bodyTimeout);
    try {
      // Platforms read what has a length without making a stream of it, and not beyond that length.
      return Number.isNaN(announced)
        ? await readBounded(request.body, maxBody, late.signal)
        : await wholeBody(request, maxBody, late);
    } catch (e) {
      if (e instanceof TooLarge) {
        throw tooLarge();
      }
      throw late.isOver
        ? new Refusal(408, rpc.invalidRequest, "the body took too long")
        : new Refusal(400, rpc.invalidRequest, "the body did not arrive whole");
    } finally {
      clearTimeout(timer);
    }
  }
}

async function wholeBody(request: Request, limit: number, late: Ending): Promise<Uint8Array> {
  const read = await Promise.race([request.arrayBuffer(), late.once]);
  if (read === undefined) {
    throw new Error("given up");
  }
  if (read.byteLength > limit) {
    throw new TooLarge(limit);
  }
  return new Uint8Array(read);
}

/** An end that may come. It costs next to nothing while nobody asks for a signal of it, and hardly anybody does. */
class Ending {
  isOver = false;
  readonly once: Promise<undefined>;
  #resolve: (nothing: undefined) => void = () => undefined;
  #controller: AbortController | undefined;

  constructor() {
    this.once = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.isOver) {
      this.#controller.abort();
    }
    return this.#controller.signal;
  }

  end(): void {
    this.isOver = true;
    this.#resolve(undefined);
    this.#controller?.abort();
  }
}

/** The request a server below gets: without what a client must not say to it. */
function innerRequest(request: Request, passage: Passage, ended: Ending): Request {
  const headers = new Headers();
  for (const [name, value] of request.headers) {
    if (!isStripped(name) && (passage.keeps === undefined || name !== "accept-encoding")) {
      // what is compressed cannot be filtered
      headers.append(name, value);
    }
  }
  const { method } = request;
  const body = passage.bytes === undefined ? {} : { body: passage.bytes as Uint8Array<ArrayBuffer> };
  const inner = new Request(request.url, { method, headers, ...body });
  let signal: AbortSignal | undefined;
  Object.defineProperty(inner, "signal", { get: () => (signal ??= AbortSignal.any([request.signal, ended.signal])) });
  return inner;
}

/** Sees to an answer: headers made uncacheable, lists filtered, streams of what has ended ended. */
async function outgoing(
  response: Response,
  passage: Passage,
  ended: Ending,
  release: () => void,
): Promise<{ response: Response; streams: boolean }> {
  const { status } = response;
  passage.begins(status, response.headers.get("mcp-session-id") ?? undefined);
  const type = response.headers.get("content-type") ?? "";
  const answer = withHeaders(response, answerHeaders(type));
  const streams = isEventStream(type);
  const { keeps } = passage;
  const filters = keeps !== undefined && status >= 200 && status < 300;
  if (!streams && !filters) {
    return { response: answer, streams: false }; // its body is not looked at, which some platforms make much cheaper
  }
  const { headers, body } = answer;
  if (body === null) {
    return { response: answer, streams: false };
  }
  const init = { status, statusText: answer.statusText, headers };
  if (filters) {
    headers.delete("content-length");
    headers.delete("etag");
    if (!/^(?:identity)?$/i.test(headers.get("content-encoding") ?? "")) {
      await body.cancel();
      return {
        response: withheld(passage, new Error("the answer is compressed though nobody asked for it")),
        streams: false,
      };
    }
  }
  if (streams) {
    const filter = filters ? new EventFilter(keeps) : undefined;
    return { response: new Response(eventStream(body, passage, filter, ended, release), init), streams: true };
  }
  if (!filters || !passage.isPost) {
    return { response: answer, streams: false };
  }
  try {
    const whole = await readBounded(body, maxListResponse);
    const isEmpty = /^[ \t\r\n]*$/.test(Buffer.from(whole).toString("latin1"));
    return {
      response: new Response(isEmpty ? (whole as Uint8Array<ArrayBuffer>) : filterBytes(whole, keeps), init),
      streams: false,
    };
  } catch (e) {
    return { response: withheld(passage, e), streams: false };
  }
}

/** Sets headers on an answer, in place where that is possible: answers of fetch() are immutable. */
function withHeaders(response: Response, wanted: Record<string, string>): Response {
  const edit = (headers: Headers): void => {
    for (const [name, value] of Object.entries(wanted)) {
      headers.set(name, value);
    }
    headers.delete("access-control-allow-credentials");
  };
  try {
    edit(response.headers);
    return response;
  } catch {
    const headers = new Headers(response.headers);
    edit(headers);
    return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
  }
}

/** Rather no list than one nobody could check. */
function withheld(passage: Passage, e: unknown): Response {
  passage.withheld(e);
  return responseOf(serverFailed(passage.id, "The MCP server's list could not be read"));
}

/** Passes a stream of events on until it ends or the grant does. */
function eventStream(
  body: ReadableStream<Uint8Array>,
  passage: Passage,
  filter: EventFilter | undefined,
  ended: Ending,
  release: () => void,
): ReadableStream<Uint8Array> {
  const chunks = chunksOf(body);
  let isOver = false;
  const over = (): void => {
    isOver = true;
    release();
    void chunks.return().catch(() => undefined); // whoever writes the stream is told by its signal
  };
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const end = (): void => {
        if (!isOver) {
          over();
          controller.close();
        }
      };
      void ended.once.then(end);
    },
    async pull(controller) {
      for (let wrote = false; !wrote && !isOver;) {
        const next = await chunks.next();
        if (isOver) {
          return;
        }
        let out: Uint8Array;
        try {
          out =
            filter === undefined
              ? (next.value ?? new Uint8Array())
              : next.done === true
                ? filter.end()
                : filter.feed(next.value);
        } catch (e) {
          passage.withheld(e);
          over();
          controller.error(e);
          return;
        }
        wrote = out.byteLength > 0;
        if (wrote) {
          controller.enqueue(out);
        }
        if (next.done === true) {
          isOver = true;
          release();
          controller.close();
          return;
        }
      }
    },
    cancel() {
      over();
    },
  });
}

/** An answer of the guard as a Response. */
export function responseOf(answer: Answer, method = "GET"): Response {
  const body = answer.body === undefined || method === "HEAD" ? null : answer.body;
  return new Response(body, { status: answer.status, headers: answer.headers });
}

/** What a fetch brought. */
export interface Fetched {
  readonly status: 200 | 304;
  readonly body: Uint8Array;
  readonly etag: string | undefined;
}

export const fetchTimeout = 10_000;

/** How a small document is fetched. */
interface GetOptions {
  readonly accept: string;
  readonly limit: number; // bytes
  readonly etag?: string;
  readonly timeout?: number;
  readonly life: AbortSignal;
}

/**
 * Does something within a time and a life. The signals are not joined by AbortSignal.any: what lives long would
 * collect them.
 */
export async function within<T>(ms: number, life: AbortSignal, f: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const end = (): void => {
    over.abort(life.reason);
  };
  const timer = setTimeout(() => {
    over.abort(new Error("it took too long"));
  }, ms).unref();
  life.addEventListener("abort", end);
  if (life.aborted) {
    end();
  }
  try {
    return await f(over.signal);
  } finally {
    clearTimeout(timer);
    life.removeEventListener("abort", end);
  }
}

/** How documents of the issuer are read: bounded in size and time, and never by a redirect. */
export class Fetcher {
  readonly #fetch: typeof globalThis.fetch;

  constructor(fetch: typeof globalThis.fetch = globalThis.fetch) {
    this.#fetch = fetch;
  }

  /** Fetches a small document. Throws for every answer but 200, and 304 to an ETag. */
  get(address: string, o: GetOptions): Promise<Fetched> {
    const headers: Record<string, string> = { Accept: o.accept };
    if (o.etag !== undefined) {
      headers["If-None-Match"] = o.etag;
    }
    return within(o.timeout ?? fetchTimeout, o.life, async (signal) => {
      const answer = await this.open(address, headers, signal);
      const etag = answer.headers.get("ETag") ?? undefined;
      if (answer.status === 304 && o.etag !== undefined) {
        await answer.body?.cancel();
        return { status: 304, body: new Uint8Array(), etag: o.etag };
      }
      await holdTo200(answer);
      return { status: 200, body: await readBounded(answer.body, o.limit), etag };
    });
  }

  /** Sends a GET and returns the answer, whatever it is, with its body still to read. */
  async open(address: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    // A redirect would let whoever can cause one choose the keys: the issuer's documents are where its metadata says
    // they are.
    return this.#fetch(address, { headers, signal, redirect: "manual" });
  }

  /** Sends a POST and returns the answer. */
  async post(address: string, headers: Record<string, string>, body: string, signal: AbortSignal): Promise<Response> {
    return this.#fetch(address, { method: "POST", headers, body, signal, redirect: "manual" });
  }
}

/** Refuses an answer that is not 200. */
export async function holdTo200(answer: Response): Promise<void> {
  if (answer.status !== 200) {
    await answer.body?.cancel();
    throw new Error(`answered ${answer.status}`);
  }
}

/** Reads a body of at most limit bytes, until signal. */
export async function readBounded(
  body: ReadableStream<Uint8Array> | null,
  limit: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunksOf(body, signal)) {
    size += chunk.byteLength;
    if (size > limit) {
      throw new TooLarge(limit); // leaving the loop cancels the stream
    }
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

/** More than was agreed to. */
export class TooLarge extends Error {
  constructor(limit: number) {
    super(`answered more than ${limit} bytes`);
  }
}

/** The chunks of a stream, until signal; leaving the loop early cancels it. */
export async function* chunksOf(
  body: ReadableStream<Uint8Array> | null,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) {
    return;
  }
  const reader = body.getReader();
  let isAborted: () => void = () => undefined;
  const aborted =
    signal &&
    new Promise<"aborted">((resolve) => {
      isAborted = () => {
        resolve("aborted");
      };
      signal.addEventListener("abort", isAborted);
    });
  let done = false;
  try {
    for (;;) {
      const reading = reader.read();
      const next = aborted === undefined ? await reading : await Promise.race([reading, aborted]);
      if (next === "aborted") {
        throw new Error("given up");
      }
      if (next.done) {
        done = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal?.removeEventListener("abort", isAborted);
    if (!done) {
      void reader.cancel().catch(() => undefined); // it failed already, or nobody waits for it
    }
  }
}

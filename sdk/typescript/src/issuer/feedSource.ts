import { reasonOf } from "../log.js";
import { CompiledFeed, feedType, type Feed } from "../policy/feed.js";
import { chunksOf, fetchTimeout, holdTo200, readBounded } from "./fetch.js";
import { verifyBundle, type Following } from "./policySource.js";

const feedLimit = 8 * 2 ** 20;
/** The issuer signs anew every 20 s; a stream that is silent for longer than this is dead. */
const streamSilence = 45_000;
const pollWait = 25; // seconds
/** How long to long-poll before trying a stream again. */
const streamAgainAfter = 10 * 60_000;

/** Says that events do not arrive as a stream. */
class NoStream extends Error {
  constructor() {
    super("events do not arrive as a stream");
  }
}

/** Where feeds go, and how long to wait before coming back. */
export interface FeedOptions {
  /** signed says when the issuer signed it, before the same of the one that was in force. */
  readonly take: (feed: CompiledFeed, signed: number, before: number) => void;
  /** Bounds of the wait between two attempts, in milliseconds. */
  readonly backoff: { readonly min: number; readonly max: number };
}

/**
 * What was taken back and is stopped now, as the issuer says it: by server-sent events, where those do not get
 * through by long-poll. A feed is taken when it is signed for this resource, current, and not older than the one in
 * force.
 */
export class FeedSource {
  readonly #with: Following;
  readonly #options: FeedOptions;
  #sequence = -1;
  #signed = -Infinity;
  #failures = 0;
  #isRefusing = false;
  #taken = 0;
  #proven = false; // events have come by stream, so that one may be resumed

  constructor(following: Following, options: FeedOptions) {
    this.#with = following;
    this.#options = options;
  }

  /** Fetches the current feed, for the start. */
  async fetch(): Promise<void> {
    const { fetcher, life } = this.#with;
    const { body } = await fetcher.get(this.#address(), { accept: "application/jwt", limit: feedLimit, life });
    await this.#take(textOf(body));
  }

  /** Follows the feed until the life ends. Never rejects. */
  async run(): Promise<void> {
    const {
      life,
      watch: { now },
    } = this.#with;
    let pollingSince: number | undefined;
    while (!life.aborted) {
      const began = now();
      const before = this.#sequence;
      const error = await this.#attempt(() => (pollingSince === undefined ? this.#stream() : this.#longPoll()));
      if (error instanceof NoStream) {
        pollingSince = now();
        continue;
      }
      if (this.#failures > 0 && this.#failures % 3 === 0) {
        // What lets no stream through may let polls through, and the other way round.
        pollingSince = pollingSince === undefined ? now() : undefined;
      } else if (pollingSince !== undefined && now() - pollingSince > streamAgainAfter) {
        pollingSince = undefined;
      }
      // A poll that waited is followed by the next at once; one that does not wait must not become a storm.
      if (
        pollingSince === undefined ||
        error !== undefined ||
        (this.#sequence === before && now() - began < this.#options.backoff.min)
      ) {
        await pause(this.#backoff(), life);
      }
    }
  }

  /** Reads once and returns what went wrong. */
  async #attempt(read: () => Promise<void>): Promise<unknown> {
    try {
      await read();
      return undefined;
    } catch (e) {
      this.#proven = false;
      if (this.#failures === 1 && !this.#with.life.aborted) {
        // the first one may only be a node that was replaced
        const facts = { resource: this.#with.resourceId, sequence: this.#sequence, error: reasonOf(e) };
        this.#with.log.warn("the feed of revocations cannot be read, going on with the last one", facts);
      }
      this.#failures++;
      return e;
    }
  }

  /**
   * Between min and max, longer with every failure, never the same for all: an issuer that comes back must not be
   * overrun.
   */
  #backoff(): number {
    const { min, max } = this.#options.backoff;
    const ceiling = Math.min(max, min * 2 ** Math.max(this.#failures - 1, 0));
    return min + Math.random() * (ceiling - min);
  }

  #address(): string {
    return `${this.#with.issuer}/resources/${encodeURIComponent(this.#with.resourceId)}/revocations`;
  }

  async #stream(): Promise<void> {
    const { life, fetcher } = this.#with;
    const over = new AbortController();
    const end = (): void => {
      over.abort(life.reason);
    };
    const patience = (ms: number): NodeJS.Timeout =>
      setTimeout(() => {
        over.abort(new NoStream());
      }, ms).unref();
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    // Without it the issuer sends an event at once, which is how a proxy that buffers is found out.
    if (this.#proven) {
      headers["Last-Event-ID"] = String(this.#sequence);
    }
    let silence = patience(this.#proven ? streamSilence : fetchTimeout);
    life.addEventListener("abort", end);
    try {
      const answer = await fetcher.open(this.#address(), headers, over.signal);
      if (answer.status === 405 || answer.status === 406) {
        throw new NoStream();
      }
      await holdTo200(answer);
      if (!/^text\/event-stream\b/i.test(answer.headers.get("Content-Type") ?? "")) {
        await this.#take(textOf(await readBounded(answer.body, feedLimit)));
        throw new NoStream();
      }
      const events = new EventReader(feedLimit);
      for await (const chunk of chunksOf(answer.body)) {
        for (const data of events.feed(chunk)) {
          if (await this.#takesLogged(data)) {
            // only good ones prove the stream alive
            this.#proven = true;
            clearTimeout(silence);
            silence = patience(streamSilence);
          }
        }
      }
      if (!this.#proven) {
        throw new NoStream();
      }
    } catch (e) {
      throw over.signal.reason instanceof NoStream ? over.signal.reason : e;
    } finally {
      clearTimeout(silence);
      life.removeEventListener("abort", end);
      over.abort();
    }
  }

  async #longPoll(): Promise<void> {
    const { fetcher, life } = this.#with;
    const holding = this.#sequence >= 0 && this.#failures === 0; // after a failure, being in contact again comes first
    const address = this.#address() + (holding ? `?wait=${pollWait}&after=${this.#sequence}` : "");
    const timeout = pollWait * 1000 + fetchTimeout;
    const { body } = await fetcher.get(address, { accept: "application/jwt", limit: feedLimit, life, timeout });
    await this.#take(textOf(body));
  }

  /** In a stream one bad feed is no reason to hang up: the next may be good. */
  async #takesLogged(compact: string): Promise<boolean> {
    try {
      await this.#take(compact);
      this.#isRefusing = false;
      return true;
    } catch (e) {
      if (!this.#isRefusing) {
        this.#with.log.error("a feed of revocations was refused, going on with the last one", { error: reasonOf(e) });
      }
      this.#isRefusing = true;
      return false;
    }
  }

  async #take(compact: string): Promise<void> {
    const { claims, signed } = await verifyBundle(this.#with, compact, feedType, "signed feed");
    const feed = claims["feed"] as Feed | undefined;
    if (!isSequence(feed?.seq) || typeof feed?.revision !== "number" || typeof feed.ended !== "object") {
      throw new Error("signed feed: is not a feed");
    }
    if (feed.seq < this.#sequence) {
      throw new Error(`signed feed: goes back from sequence ${this.#sequence} to ${feed.seq}`);
    }
    this.#taken++;
    if (this.#failures > 0) {
      this.#failures = 0;
      this.#with.log.info("the feed of revocations can be read again", { sequence: feed.seq });
    }
    if (feed.seq === this.#sequence && signed <= this.#signed) {
      return; // the same again, or from a node whose clock is a little behind
    }
    const before = this.#signed;
    this.#sequence = feed.seq;
    this.#signed = Math.max(signed, before);
    this.#options.take(new CompiledFeed(feed), this.#signed, before);
  }
}

function isSequence(n: unknown): boolean {
  return typeof n === "number" && Number.isSafeInteger(n) && n >= 0;
}

function textOf(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1").trim();
}

/** Waits, at most until one of signals. A wait alone does not keep a process alive. */
export function pause(ms: number, ...signals: AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some((s) => s.aborted)) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signals.forEach((s) => {
        s.removeEventListener("abort", done);
      });
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signals.forEach((s) => {
      s.addEventListener("abort", done);
    });
  });
}

/** Reads the data of those server-sent events that are feeds, of a bounded size. */
export class EventReader {
  readonly #limit: number;
  #rest = "";

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes the next bytes and returns the data of the events that are complete. */
  feed(chunk: Uint8Array): string[] {
    this.#rest += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
    if (this.#rest.length > this.#limit) {
      throw new Error("an event is too large");
    }
    const found: string[] = [];
    for (let end = blankLine.exec(this.#rest); end !== null; end = blankLine.exec(this.#rest)) {
      const lines = this.#rest.slice(0, end.index).split(/\r\n|\n|\r/);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      const values = (name: string): string[] =>
        lines
          .filter((line) => line.startsWith(name + ":"))
          .map((line) => line.slice(name.length + 1).replace(/^ /, ""));
      const data = values("data");
      if (data.length > 0 && values("event").at(-1) === "feed") {
        found.push(data.join("\n"));
      }
    }
    return found;
  }
}

const blankLine = /\r\n\r\n|\n\n|\r\r/;

import { reasonOf } from "../log.js";
import { CompiledFeed, feedType, type Feed } from "../policy/feed.js";
import { millis } from "../token.js";
import { chunksOf, fetchTimeout, holdTo200, readBounded } from "./fetch.js";
import { verifyBundle, type Following } from "./policySource.js";

const feedLimit = 8 * 2 ** 20;
/** The issuer signs anew every 20 s; a stream that is silent for longer than this is dead. */
const streamSilence = 45_000;
const pollWait = 25; // seconds
/** How long to long-poll before trying a stream again. */
const streamAgainAfter = 5 * 60_000;

/** Where feeds go, and how long to wait before coming back. */
export interface FeedOptions {
  readonly take: (feed: CompiledFeed, issuedAt: number) => void;
  /** Bounds of the wait between two attempts, in milliseconds. */
  readonly backoff: { readonly min: number; readonly max: number };
}

/**
 * What was taken back and is stopped now, as the issuer says it: by server-sent events, where those do not get through by
 * long-poll. A feed is taken when it is signed for this resource, current, and not older than the one in force.
 */
export class FeedSource {
  readonly #with: Following;
  readonly #options: FeedOptions;
  #sequence = -1;
  #issuedAt = 0;
  #failures = 0;
  #taken = 0;

  constructor(following: Following, options: FeedOptions) {
    this.#with = following;
    this.#options = options;
  }

  /** Fetches the current feed, for the start. */
  async fetch(): Promise<void> {
    const { fetcher, life } = this.#with;
    const { body } = await fetcher.get(this.#address(), "application/jwt", feedLimit, { signal: life });
    await this.#take(textOf(body));
  }

  /** Follows the feed until the life ends. Never rejects. */
  async run(): Promise<void> {
    const { life, now } = this.#with;
    let streaming = true;
    let pollingSince = Infinity;
    while (!life.aborted) {
      const began = now();
      const before = this.#sequence;
      const heard = await this.#attempt(() => (streaming ? this.#stream() : this.#longPoll()));
      if (streaming) {
        streaming = heard; // one that brought something is worth coming back to
        pollingSince = now();
      } else {
        streaming = !heard || now() - pollingSince > streamAgainAfter;
      }
      // A poll that waited is followed by the next at once; one that does not wait must not become a storm.
      if (!heard || streaming || (this.#sequence === before && now() - began < this.#options.backoff.min)) {
        await pause(this.#backoff(), life);
      }
    }
  }

  /** Says whether the issuer was heard. */
  async #attempt(read: () => Promise<void>): Promise<boolean> {
    const before = this.#taken;
    try {
      await read();
    } catch (e) {
      if (this.#failures === 0 && !this.#with.life.aborted) {
        const facts = { resource: this.#with.resourceId, sequence: this.#sequence, error: reasonOf(e) };
        this.#with.log.warn("the feed of revocations cannot be read, going on with the last one", facts);
      }
      this.#failures++;
    }
    return this.#taken > before;
  }

  /** Between min and max, longer with every failure, never the same for all: an issuer that comes back must not be overrun. */
  #backoff(): number {
    const { min, max } = this.#options.backoff;
    const ceiling = Math.min(max, min * 2 ** Math.max(this.#failures - 1, 0));
    return min + Math.random() * (ceiling - min);
  }

  #address(): string {
    return `${this.#with.issuer}/resources/${encodeURIComponent(this.#with.resourceId)}/revocations`;
  }

  async #stream(): Promise<void> {
    const controller = new AbortController();
    const silenceTimer = (ms: number): NodeJS.Timeout =>
      setTimeout(() => { controller.abort(new Error("the stream is silent")); }, ms).unref();
    let timer = silenceTimer(fetchTimeout);
    const signal = AbortSignal.any([this.#with.life, controller.signal]);
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (this.#sequence >= 0) {
        headers["Last-Event-ID"] = String(this.#sequence);
      }
      const answer = await this.#with.fetcher.open(this.#address(), headers, signal);
      await holdTo200(answer);
      if (this.#sequence >= 0) { // nothing need come before the issuer signs again
        clearTimeout(timer);
        timer = silenceTimer(streamSilence);
      }
      if (!/^text\/event-stream\b/i.test(answer.headers.get("Content-Type") ?? "")) {
        await this.#takeLogged(textOf(await readBounded(answer.body, feedLimit)));
        throw new Error("the issuer does not stream");
      }
      const events = new EventReader(feedLimit);
      for await (const chunk of chunksOf(answer.body)) {
        clearTimeout(timer);
        timer = silenceTimer(streamSilence);
        for (const data of events.feed(chunk)) {
          await this.#takeLogged(data);
        }
      }
    } finally {
      clearTimeout(timer);
      controller.abort();
    }
  }

  async #longPoll(): Promise<void> {
    const { fetcher, life } = this.#with;
    const address = `${this.#address()}?wait=${pollWait}&after=${Math.max(this.#sequence, 0)}`;
    const timeout = pollWait * 1000 + fetchTimeout;
    const { body } = await fetcher.get(address, "application/jwt", feedLimit, { signal: life, timeout });
    await this.#take(textOf(body));
  }

  /** In a stream one bad feed is no reason to hang up: the next may be good. */
  async #takeLogged(compact: string): Promise<void> {
    try {
      await this.#take(compact);
    } catch (e) {
      this.#with.log.warn("a feed of revocations was refused, going on with the last one", { error: reasonOf(e) });
    }
  }

  async #take(compact: string): Promise<void> {
    const claims = await verifyBundle(this.#with, compact, feedType, "signed feed");
    const feed = claims["feed"] as Feed | undefined;
    if (typeof feed?.seq !== "number" || typeof feed.revision !== "number" || typeof feed.ended !== "object") {
      throw new Error("signed feed: is not a feed");
    }
    const issuedAt = millis(claims["iat"]) ?? 0;
    if (feed.seq < this.#sequence) {
      throw new Error(`signed feed: sequence ${feed.seq} after ${this.#sequence}`);
    }
    this.#taken++;
    if (feed.seq === this.#sequence && issuedAt < this.#issuedAt) {
      return; // a copy from a cache; the one in force says the same
    }
    this.#sequence = feed.seq;
    this.#issuedAt = issuedAt;
    this.#options.take(new CompiledFeed(feed), issuedAt);
    if (this.#failures > 0) {
      this.#failures = 0;
      this.#with.log.info("the feed of revocations can be read again", { sequence: feed.seq });
    }
  }
}

function textOf(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1").trim();
}

/** Waits, at most until signal. A wait alone does not keep a process alive. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signal.addEventListener("abort", done);
  });
}

/** Reads the data of server-sent events of a bounded size. */
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
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, ""));
      if (data.length > 0) {
        found.push(data.join("\n"));
      }
    }
    return found;
  }
}

const blankLine = /\r\n\r\n|\n\n|\r\r/;

import { pause } from "./issuer/feedSource.js";
import { within, type Fetcher } from "./issuer/fetch.js";
import { reasonOf, type Logger } from "./log.js";
import type { CallRecord } from "./record.js";

/** Reports every decided call to the issuer, for its Activity screen. */
export interface ReportOptions {
  /** A credential of this MCP server, as for introspection. It is the one secret of the SDK. */
  readonly credential: { readonly id: string; readonly secret: string };
}

const maxBuffered = 10_000;
const maxBatch = 500;
const maxBatchBytes = 2 * 2 ** 20 - 4096; // less what stands around the records
const flushAt = 200;
const flushEvery = 1_000;
const postTimeout = 10_000;
const closeTimeout = 5_000;

interface Where {
  readonly issuer: string;
  readonly resourceId: string;
  readonly fetcher: Fetcher;
  readonly log: Logger;
  readonly life: AbortSignal;
}

/**
 * Collects records and delivers them in batches. What cannot be delivered in time is dropped, oldest first, and
 * counted.
 */
export class Reporter {
  readonly #where: Where;
  readonly #authorization: string;
  #waiting: string[] = [];
  #dropped = 0;
  #running: Promise<void> | undefined;
  #wake = new AbortController();
  #closing = false;
  #failures = 0;

  constructor(options: ReportOptions, where: Where) {
    const { id, secret } = options.credential;
    // RFC 6749 §2.3.1: both are form-encoded before they are joined.
    const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
    this.#authorization = "Basic " + Buffer.from(pair).toString("base64");
    this.#where = where;
  }

  /** Takes a record; it is delivered within about a second. */
  add(record: CallRecord): void {
    this.#waiting.push(JSON.stringify(record));
    if (this.#waiting.length > maxBuffered) {
      this.#waiting.shift();
      this.#dropped++;
    }
    if (this.#waiting.length >= flushAt) {
      this.#wake.abort();
    }
    this.#running ??= this.#run();
  }

  /** Delivers what is there, within a few seconds. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wake.abort();
    const enough = new AbortController();
    await Promise.race([this.#running, pause(closeTimeout, enough.signal)]);
    enough.abort();
  }

  /** Delivers until nothing is left. Never rejects. */
  async #run(): Promise<void> {
    const { life, log } = this.#where;
    while (this.#waiting.length > 0 && !life.aborted) {
      if (!this.#closing && this.#waiting.length < flushAt) {
        await pause(flushEvery, this.#wake.signal);
      }
      this.#wake = new AbortController();
      const batch = this.#nextBatch();
      let wait = await this.#deliver(batch).catch((e: unknown) => {
        if (this.#failures === 0) {
          log.warn("records of calls cannot be delivered", { error: reasonOf(e) });
        }
        return Math.min(1_000 * 2 ** this.#failures, 30_000);
      });
      this.#failures = wait === 0 ? 0 : this.#failures + 1;
      if (wait > 0) {
        this.#putBack(batch);
        if (this.#closing) {
          wait = Math.min(wait, 1_000);
        }
        await pause(wait * (0.5 + Math.random() / 2), life);
      }
    }
    this.#running = undefined;
  }

  /** Posts a batch. Returns how long to wait before trying it again; 0 when it is delivered, or never will be. */
  async #deliver(batch: readonly string[]): Promise<number> {
    const { fetcher, issuer, resourceId, life, log } = this.#where;
    const dropped = this.#dropped;
    const body = `{"calls":[${batch.join(",")}]${dropped > 0 ? `,"dropped":${dropped}` : ""}}`;
    const headers = { Authorization: this.#authorization, "Content-Type": "application/json" };
    const address = `${issuer}/resources/${encodeURIComponent(resourceId)}/calls`;
    const answer = await within(postTimeout, life, (signal) => fetcher.post(address, headers, body, signal));
    await answer.body?.cancel();
    if (answer.status === 200) {
      this.#dropped -= dropped;
      return 0;
    }
    if (answer.status === 400 || answer.status === 413) {
      log.error("the issuer refuses records of calls, they are dropped", { status: answer.status, records: batch.length });
      this.#dropped += batch.length;
      return 0;
    }
    const seconds = Number(answer.headers.get("Retry-After") ?? 0);
    if (seconds > 0 && seconds <= 300) {
      return seconds * 1000;
    }
    throw new Error(`answered ${answer.status}`);
  }

  #nextBatch(): string[] {
    let bytes = 0;
    let count = 0;
    for (const record of this.#waiting) {
      bytes += Buffer.byteLength(record) + 1;
      if (count === maxBatch || (bytes > maxBatchBytes && count > 0)) {
        break;
      }
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  #putBack(batch: readonly string[]): void {
    this.#waiting.unshift(...batch);
    const beyond = this.#waiting.length - maxBuffered;
    if (beyond > 0) {
      this.#waiting.splice(0, beyond);
      this.#dropped += beyond;
    }
  }
}

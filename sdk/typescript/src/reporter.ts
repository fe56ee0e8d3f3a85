import { pause } from "./issuer/feedSource.js";
import { within, type Fetcher } from "./issuer/fetch.js";
import { reasonOf, type Logger } from "./log.js";
import type { CallRecord } from "./record.js";
import { Waiting } from "./waiting.js";

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

/** A report on its way. It is sent again exactly as it was, so that a lost answer doubles neither calls nor losses. */
interface Batch {
  readonly body: string;
  readonly records: number;
  readonly dropped: number;
}

/**
 * Collects records and delivers them in batches. What cannot be delivered in time is dropped, what is worth least first,
 * and counted.
 */
export class Reporter {
  readonly #where: Where;
  readonly #authorization: string;
  readonly #waiting = new Waiting();
  readonly #closing = new AbortController();
  #batch: Batch | undefined;
  #dropped = 0;
  #running: Promise<void> | undefined;
  #full = new AbortController();
  #failures = 0;

  constructor(options: ReportOptions, where: Where) {
    const { id, secret } = options.credential;
    // RFC 6749 §2.3.1: both are form-encoded before they are joined.
    const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
    this.#authorization = "Basic " + Buffer.from(pair).toString("base64");
    this.#where = where;
  }

  /** Takes a record of a call of some risk; it is delivered within about a second. */
  add(record: CallRecord, risk: string | undefined): void {
    this.#waiting.add(JSON.stringify(record), record.allowed, risk);
    if (this.#waiting.length + (this.#batch?.records ?? 0) > maxBuffered) {
      this.#waiting.drop();
      this.#dropped++;
    }
    if (this.#waiting.length >= flushAt) {
      this.#full.abort();
    }
    this.#running ??= this.#run();
  }

  /** Delivers what is there, within a few seconds. */
  async close(): Promise<void> {
    this.#closing.abort();
    const enough = new AbortController();
    await Promise.race([this.#running, pause(closeTimeout, enough.signal)]);
    enough.abort();
  }

  /** Delivers until nothing is left. Never rejects. */
  async #run(): Promise<void> {
    const { life, log } = this.#where;
    while ((this.#waiting.length > 0 || this.#batch !== undefined) && !life.aborted) {
      if (this.#batch === undefined) {
        await pause(flushEvery, this.#full.signal, this.#closing.signal);
        this.#full = new AbortController();
        this.#batch = this.#nextBatch();
      }
      const wait = await this.#deliver(this.#batch).catch((e: unknown) => {
        if (this.#failures === 0) {
          log.warn("records of calls cannot be delivered", { error: reasonOf(e) });
        }
        return Math.min(1_000 * 2 ** this.#failures, 30_000);
      });
      if (wait === 0) {
        this.#failures = 0;
        this.#batch = undefined;
        continue;
      }
      this.#failures++;
      await (this.#closing.signal.aborted
        ? pause(Math.min(wait, 500), life)
        : pause(wait * (0.5 + Math.random() / 2), life, this.#closing.signal));
    }
    this.#running = undefined;
  }

  /** Posts a batch. Returns how long to wait before trying it again; 0 when it is delivered, or never will be. */
  async #deliver(batch: Batch): Promise<number> {
    const { fetcher, issuer, resourceId, life, log } = this.#where;
    const headers = { Authorization: this.#authorization, "Content-Type": "application/json" };
    const address = `${issuer}/resources/${encodeURIComponent(resourceId)}/calls`;
    const answer = await within(postTimeout, life, (signal) => fetcher.post(address, headers, batch.body, signal));
    await answer.body?.cancel();
    if (answer.status === 200) {
      return 0;
    }
    if (answer.status === 400 || answer.status === 413) {
      const facts = { status: answer.status, records: batch.records };
      log.error("the issuer refuses records of calls, they are dropped", facts);
      this.#dropped += batch.records + batch.dropped;
      return 0;
    }
    const seconds = Number(answer.headers.get("Retry-After") ?? 0);
    if (seconds > 0 && seconds <= 300) {
      return seconds * 1000;
    }
    throw new Error(`answered ${answer.status}`);
  }

  #nextBatch(): Batch {
    const calls = this.#waiting.take(maxBatch, maxBatchBytes);
    const dropped = this.#dropped;
    this.#dropped = 0;
    const losses = dropped > 0 ? `,"dropped":${dropped}` : "";
    return { body: `{"calls":[${calls.join(",")}]${losses}}`, records: calls.length, dropped };
  }
}

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

/** Why a report has to be sent again, and how many milliseconds the issuer wants to be left alone; 0 when it did not say. */
interface Refusal {
  readonly why: string;
  readonly after: number;
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
  #told = ""; // what went wrong, as it was last logged

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
      const refused = await this.#deliver(this.#batch).catch((e: unknown) => ({ why: reasonOf(e), after: 0 }));
      if (refused === undefined) {
        this.#failures = 0;
        this.#told = "";
        this.#batch = undefined;
        continue;
      }
      if (refused.why !== this.#told) {
        this.#told = refused.why;
        log.warn("records of calls cannot be delivered", { error: refused.why });
      }
      const wait = this.#pauseAfter(refused);
      this.#failures++;
      await (this.#closing.signal.aborted ? pause(Math.min(wait, 500), life) : pause(wait, life, this.#closing.signal));
    }
    this.#running = undefined;
  }

  /** How long to wait: never less than the issuer asked for, and servers it refused together do not come back together. */
  #pauseAfter({ after }: Refusal): number {
    if (after > 0) {
      return after * (1 + Math.random() / 2);
    }
    return Math.min(1_000 * 2 ** this.#failures, 30_000) * (0.5 + Math.random() / 2);
  }

  /** Posts a batch. Returns why it has to be sent again; undefined when it is delivered, or never will be. */
  async #deliver(batch: Batch): Promise<Refusal | undefined> {
    const { fetcher, issuer, resourceId, life, log } = this.#where;
    const headers = { Authorization: this.#authorization, "Content-Type": "application/json" };
    const address = `${issuer}/resources/${encodeURIComponent(resourceId)}/calls`;
    const answer = await within(postTimeout, life, (signal) => fetcher.post(address, headers, batch.body, signal));
    await answer.body?.cancel();
    if (answer.status === 200) {
      return undefined;
    }
    if (answer.status === 400 || answer.status === 413) {
      const facts = { status: answer.status, records: batch.records };
      log.error("the issuer refuses records of calls, they are dropped", facts);
      this.#dropped += batch.records + batch.dropped;
      return undefined;
    }
    const seconds = Number(answer.headers.get("Retry-After") ?? 0);
    return { why: `answered ${answer.status}`, after: seconds > 0 && seconds <= 300 ? seconds * 1000 : 0 };
  }

  #nextBatch(): Batch {
    const calls = this.#waiting.take(maxBatch, maxBatchBytes);
    const dropped = this.#dropped;
    this.#dropped = 0;
    const losses = dropped > 0 ? `,"dropped":${dropped}` : "";
    return { body: `{"calls":[${calls.join(",")}]${losses}}`, records: calls.length, dropped };
  }
}

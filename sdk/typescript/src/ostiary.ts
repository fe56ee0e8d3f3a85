import { shortened } from "./challenge.js";
import { Fetcher } from "./issuer/fetch.js";
import { FeedSource, pause } from "./issuer/feedSource.js";
import { IssuerKeys } from "./issuer/keys.js";
import { PolicySource, type Following } from "./issuer/policySource.js";
import { reasonOf, type Logger } from "./log.js";
import { settled, type OstiaryOptions, type Settled } from "./options.js";
import type { PolicyDocument } from "./policy/document.js";
import { CompiledFeed } from "./policy/feed.js";
import type { Decision, ScopeSet, Situation, Target } from "./policy/judge.js";
import { Recent } from "./recent.js";
import type { CallRecord } from "./record.js";
import { Reporter } from "./reporter.js";
import { Sessions } from "./sessions.js";
import { View } from "./site.js";
import { TokenError, Tokens, type Grant } from "./token.js";
import { Watch } from "./watch.js";

/** Keys and policy are not there yet, so nothing can be allowed. */
export class NotReady extends Error {}

/** The user, organization, host or server of a token is stopped by an administrator. */
export class StoppedError extends Error {}

const flaggedTargets = 1024;
const feedEvery = 20_000; // as often as the issuer signs a feed
const feedLifetime = 120_000;

/**
 * Decides for one MCP server what a token may do, from the issuer's keys, the published policy and the feed of
 * revocations, all held in memory: a call costs no network hop. It starts by itself; end it with `close`.
 */
export class Ostiary {
  /** @internal */ readonly settings: Settled;
  /** @internal */ readonly log: Logger;
  /** @internal */ readonly sessions = new Sessions();
  readonly #life = new AbortController();
  readonly #watch: Watch;
  readonly #tokens: Tokens;
  readonly #keys: IssuerKeys;
  readonly #policy: PolicySource;
  readonly #feed: FeedSource;
  readonly #reporter: Reporter | undefined;
  readonly #flagged = new Recent<string, true>(flaggedTargets);
  readonly #watchers = new Set<{ grant: Grant; ended: () => void }>();
  readonly #started: Promise<void>;

  #view: View | undefined;
  #compiledFeed = new CompiledFeed();
  #hasFeed = false;
  #isReady = false;
  #hurry = new AbortController();
  #signed: number | undefined; // when the newest thing was signed that contact is counted from

  /** Begins to fetch keys, policy and feed. Throws a TypeError for options that cannot work. */
  constructor(options: OstiaryOptions) {
    const o = settled(options);
    this.settings = o;
    this.log = o.logger;
    const watch = new Watch(o.now);
    this.#watch = watch;
    const common = {
      issuer: o.issuer,
      fetcher: new Fetcher(o.fetch),
      now: watch.now,
      log: o.logger,
      life: this.#life.signal,
    };
    this.#keys = new IssuerKeys(common);
    this.#tokens = new Tokens({ keys: this.#keys, issuer: o.issuer, skew: o.skew * 1000, now: watch.now });
    const following: Following = { ...common, watch, resourceId: o.resourceId, keys: this.#keys, skew: o.skew * 1000 };
    this.#policy = new PolicySource(following, (doc, signed) => {
      this.#view = new View(doc, o.issuer, o.identifier);
      this.#hear(signed);
    });
    this.#feed = new FeedSource(following, {
      backoff: o.backoff,
      take: (feed, signed, before) => {
        this.#takeFeed(feed, signed, before);
      },
    });
    this.#reporter =
      o.report === undefined ? undefined : new Reporter(o.report, { ...common, resourceId: o.resourceId });
    if (o.policy !== undefined) {
      this.#view = new View(o.policy, o.issuer, o.identifier);
    }
    this.#started = this.#start();
  }

  /**
   * Resolves once keys and policy are there, and the feed has had its time. Rejects with NotReady after `startTimeout`;
   * the start goes on all the same.
   */
  async ready(): Promise<void> {
    const waiting = new AbortController();
    await Promise.race([this.#started, pause(this.settings.startTimeout, waiting.signal)]);
    waiting.abort();
    if (this.#view === undefined || !this.#keys.isLoaded) {
      throw new NotReady("keys and policy of the issuer are not there yet");
    }
    this.#isReady = true;
  }

  /** The policy in force; undefined before there is one. */
  get policy(): PolicyDocument | undefined {
    return this.#view?.doc;
  }

  /**
   * Says whose token this is. Throws a TokenError when the token is at fault or was revoked, a StoppedError when an
   * administrator stopped what it rests on, NotReady or KeysUnavailable when nobody can tell.
   */
  async verify(token: string): Promise<Grant> {
    await this.ready();
    const grant = await this.authenticate(token);
    switch (this.refuses(grant)) {
      case "revoked":
        throw new TokenError("The access token has been revoked");
      case "stopped":
        throw new StoppedError("Access is stopped by an administrator");
      case undefined:
        return grant;
    }
  }

  /** Says whether a grant may do what target names, by everything that is known now. */
  judge(target: Target, grant: Grant): Decision {
    const view = this.view();
    return view.rules.judge(target, grant, this.granted(grant, view), this.situation());
  }

  /** Says whether nothing may be done with a grant at all any more. */
  refuses(grant: Grant): "revoked" | "stopped" | undefined {
    return this.#compiledFeed.refuses(grant, this.settings.resourceId);
  }

  /** Calls ended once the grant is revoked or stopped, at once when it is. Returns what takes that back. */
  onEnded(grant: Grant, ended: () => void): () => void {
    const watcher = { grant, ended };
    this.#watchers.add(watcher);
    if (this.refuses(grant) !== undefined) {
      ended();
    }
    return () => void this.#watchers.delete(watcher);
  }

  /** Ends everything that runs, after reports under way. Requests go on with what there is. */
  async close(): Promise<void> {
    await this.#reporter?.close();
    this.#life.abort();
    await this.#started;
  }

  /** The same as `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal Whose token this is, whatever became of the grant since. */
  authenticate(token: string): Promise<Grant> {
    return this.#tokens.verify(token, this.view().doc.resource.identifier);
  }

  /** @internal Everything derived from the policy in force. Throws NotReady. */
  view(): View {
    if (this.#view === undefined) {
      throw new NotReady("there is no policy yet");
    }
    return this.#view;
  }

  /** @internal Whether requests need not wait. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** @internal */
  granted(grant: Grant, view: View): ScopeSet {
    return this.#tokens.granted(grant, view.rules);
  }

  /** @internal What is known besides the policy. */
  situation(): Situation {
    return { feed: this.#compiledFeed, silence: this.#silence() };
  }

  /** @internal Hands on a record of a call; its risk is kept for when there is no room for all. */
  record(make: () => CallRecord, risk?: string): void {
    if (this.settings.observe === undefined && this.#reporter === undefined) {
      return;
    }
    const record = make();
    this.#reporter?.add(record, risk);
    try {
      this.settings.observe?.(record);
    } catch (e) {
      this.log.error("the observer of calls failed", { error: reasonOf(e) });
    }
  }

  /** @internal Tells the operator, once per target, of what nobody can use because the policy does not map it. */
  flag(target: Target, reason: string): void {
    const name = shortened(target.name);
    const key = `${target.kind} ${name}`;
    if (this.#flagged.get(key) === undefined) {
      this.#flagged.put(key, true);
      this.log.warn("the MCP server offers what the policy does not map", { kind: target.kind, name, reason });
    }
  }

  /** Seconds since the issuer was last heard; negative when that is not counted. */
  #silence(): number {
    return this.#signed === undefined ? -1 : Math.max(this.#watch.now() - this.#signed, 0) / 1000;
  }

  /**
   * Until there is a feed, contact is counted from when the first policy was signed. Later ones do not count: whoever keeps
   * the feed away and lets policies through would keep away what was revoked, too.
   */
  #hear(signed: number): void {
    this.#watch.heard(signed);
    this.#signed ??= signed;
  }

  #takeFeed(feed: CompiledFeed, signed: number, before: number): void {
    this.#compiledFeed = feed;
    this.#hasFeed = true;
    this.#watch.heard(signed);
    this.#signed = signed;
    if (feed.revision > this.#policy.revision) {
      this.#hurry.abort();
    }
    // What ended them may have come and gone in the meantime: entries leave the feed once no token from before can
    // be alive.
    const gap = signed - before > feedLifetime;
    for (const { grant, ended } of this.#watchers) {
      if (this.refuses(grant) !== undefined || (gap && grant.expiresAt.getTime() < this.#watch.now())) {
        ended();
      }
    }
  }

  /**
   * Looks for a newer policy: often while nothing is heard, seldom while the feed says when there is one, then at
   * once.
   */
  async #followPolicy(): Promise<void> {
    const { pollEvery } = this.settings;
    const life = this.#life.signal;
    while (!life.aborted) {
      const isHeard = this.#hasFeed && this.#silence() * 1000 < 3 * feedEvery;
      const isBehind = this.#compiledFeed.revision > this.#policy.revision; // a node may not have it yet
      await pause(
        isBehind ? Math.min(pollEvery, 1_000) : isHeard ? 10 * pollEvery : pollEvery,
        life,
        this.#hurry.signal,
      );
      this.#hurry = new AbortController();
      if (!life.aborted) {
        await this.#policy.follow();
      }
    }
  }

  /** Fetches keys, policy and feed for the first time and begins to follow them. Never rejects. */
  async #start(): Promise<void> {
    const { policy } = this.settings;
    const life = this.#life.signal;
    await this.#insist("keys of the issuer", () => this.#keys.load());
    if (policy === undefined) {
      await this.#insist("policy", () => this.#policy.poll());
    }
    if (life.aborted) {
      return;
    }
    try {
      await this.#feed.fetch();
    } catch (e) {
      if (!life.aborted) {
        this.log.warn("there is no feed of revocations yet", {
          resource: this.settings.resourceId,
          error: reasonOf(e),
        });
      }
    }
    void this.#feed.run();
    if (policy === undefined) {
      void this.#followPolicy();
    }
  }

  /** Tries until it works or the life ends: the issuer may start at the same time as this server. */
  async #insist(what: string, f: () => Promise<void>): Promise<void> {
    const life = this.#life.signal;
    for (let wait = 50, tries = 0; !life.aborted; wait = Math.min(2 * wait, 5_000), tries++) {
      try {
        await f();
        return;
      } catch (e) {
        if (tries === 3) {
          // the first ones may only mean that the issuer is not up yet
          this.log.error(`${what} cannot be fetched, nothing is allowed until then`, { error: reasonOf(e) });
        }
      }
      await pause(wait, life);
    }
  }
}

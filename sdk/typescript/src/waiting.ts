interface Held {
  readonly number: number;
  readonly text: string;
}

const ranks: readonly (string | undefined)[] = ["read", "write", "destructive"];

/**
 * What a record is worth when there is no room for all. What was denied did nothing, and anybody can be denied as often
 * as he likes; names that no policy maps, whose risk nobody knows, can be made up.
 */
function worthOf(allowed: boolean, risk: string | undefined): number {
  if (!allowed) {
    return 0;
  }
  const rank = ranks.indexOf(risk ?? "read");
  return rank < 0 ? 3 : 1 + rank;
}

/**
 * Records in the order they came, in lanes by what they are worth, so that nobody can push the record of what he did
 * out with calls that cost him nothing.
 */
export class Waiting {
  readonly #lanes: readonly Held[][] = [[], [], [], []];
  #next = 0;

  get length(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.length, 0);
  }

  add(text: string, allowed: boolean, risk: string | undefined): void {
    this.#lanes[worthOf(allowed, risk)]?.push({ number: this.#next++, text });
  }

  /** Removes the oldest of what is worth least. */
  drop(): void {
    this.#lanes.find((lane) => lane.length > 0)?.shift();
  }

  /** Removes the oldest records, as many as fit. */
  take(most: number, mostBytes: number): string[] {
    const taken: string[] = [];
    let bytes = 0;
    while (taken.length < most) {
      const lane = this.#oldest();
      const text = lane?.[0]?.text;
      if (lane === undefined || text === undefined) {
        break;
      }
      bytes += Buffer.byteLength(text) + 1;
      if (bytes > mostBytes && taken.length > 0) {
        break;
      }
      lane.shift();
      taken.push(text);
    }
    return taken;
  }

  #oldest(): Held[] | undefined {
    const first = (lane: Held[]): number => lane[0]?.number ?? Infinity;
    const oldest = this.#lanes.reduce((best, lane) => (first(lane) < first(best) ? lane : best));
    return oldest.length > 0 ? oldest : undefined;
  }
}

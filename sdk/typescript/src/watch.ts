/**
 * The time, never earlier than the newest time the issuer signed plus what has passed since on a steady clock: a
 * wall clock that is set back brings no expired token back and lets no silence end.
 */
export class Watch {
  readonly #wall: () => number;
  #signed = -Infinity;
  #at = 0;

  constructor(wall: () => number) {
    this.#wall = wall;
  }

  /** Milliseconds since the epoch. */
  now = (): number => Math.max(this.#wall(), this.#signed + performance.now() - this.#at);

  /** Notes a time that the issuer signed. */
  heard(signed: number): void {
    if (signed > this.#signed + performance.now() - this.#at) {
      this.#signed = signed;
      this.#at = performance.now();
    }
  }
}

import { createHash } from 'node:crypto';

/** Seeded random numbers. Each name has its own sequence, so scenarios do not depend on their order. */
export class Random {
  readonly #seed: number;
  readonly #name: string;
  #state: number;

  constructor(seed: number, name: string) {
    this.#seed = seed;
    this.#name = name;
    this.#state = createHash('sha256').update(`${seed} ${name}`).digest().readUInt32LE();
  }

  /** A sequence of one round, independent of what was drawn before. */
  forRound(round: number): Random {
    return new Random(this.#seed, `${this.#name} ${round}`);
  }

  /** In [0, 1): mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** In [low, high). */
  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** A whole number from 0 to below `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** All values once, in a random order. */
  shuffled<T>(values: readonly T[]): T[] {
    const all = [...values];
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return all;
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error('the list to pick from is empty');
    return value;
  }
}

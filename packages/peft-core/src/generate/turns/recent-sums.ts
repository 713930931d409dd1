/** Maximum number of keys; the least recently changed are forgotten first. */
const MAX_KEYS = 256;

/** Sums of amounts by key, each forgotten `milliseconds` after its first amount. */
export class RecentSums {
  readonly #milliseconds: number;
  readonly #now: () => number;
  readonly #sums = new Map<string, { sum: number; since: number }>();

  constructor(milliseconds: number, now: () => number = () => performance.now()) {
    this.#milliseconds = milliseconds;
    this.#now = now;
  }

  of(key: string): number {
    return this.#known(key)?.sum ?? 0;
  }

  add(key: string, amount = 1): void {
    const { sum, since } = this.#known(key) ?? { sum: 0, since: this.#now() };
    this.#sums.delete(key);
    this.#sums.set(key, { sum: sum + amount, since });
    const [oldest] = this.#sums.keys();
    if (this.#sums.size > MAX_KEYS) this.#sums.delete(oldest!);
  }

  #known(key: string): { sum: number; since: number } | undefined {
    const known = this.#sums.get(key);
    if (!known || this.#now() - known.since < this.#milliseconds) return known;
    this.#sums.delete(key);
    return undefined;
  }
}

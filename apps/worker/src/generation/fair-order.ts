/** The team of a request, and the weight of its share of the generator. */
export interface Share {
  team: string;
  weight: number;
}

/** Maximum time (in units) that one long answer may put a team ahead of the clock. */
const maxLag = 30;

/**
 * A queue of waiting items in the order of their teams' turns: deficit round robin by weight, as for jobs (docs/fairness.md). A turn
 * costs one unit when it starts; the units that it uses beyond that are charged at its end.
 */
export class FairOrder<T> {
  /** Waiting items by team, in the order in which the teams started to wait. */
  readonly #waiting = new Map<string, { weight: number; items: T[] }>();
  /** Virtual times of the teams that are ahead of the clock. */
  readonly #times = new Map<string, number>();
  #clock = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push({ team, weight }: Share, item: T): void {
    const own = this.#waiting.get(team);
    this.#waiting.set(team, { weight, items: [...(own?.items ?? []), item] });
    this.#length++;
  }

  /** The next item that fits; undefined where none waits. */
  next(fits: (item: T) => boolean = () => true): T | undefined {
    return this.#next(fits)?.item;
  }

  /** Removes and returns the next item that fits. */
  shift(fits: (item: T) => boolean = () => true): T | undefined {
    const next = this.#next(fits);
    if (!next) return undefined;
    this.begin(next);
    this.remove(next.team, next.item);
    return next.item;
  }

  /** Charges the start of a turn, also for an item that never waited. */
  begin({ team, weight }: Share): void {
    this.#clock = this.#startOf(team);
    this.#times.set(team, this.#clock + 1 / weight);
    for (const [other, time] of this.#times) if (time <= this.#clock) this.#times.delete(other);
  }

  /** Charges the units that a turn used beyond the first. */
  charge({ team, weight }: Share, units: number): void {
    const time = this.#startOf(team);
    this.#times.set(team, Math.max(time, Math.min(time + units / weight, this.#clock + maxLag)));
  }

  remove(team: string, item: T): void {
    const own = this.#waiting.get(team);
    const items = own?.items.filter((other) => other !== item);
    if (!own || !items || items.length === own.items.length) return;
    this.#length--;
    if (items.length > 0) this.#waiting.set(team, { ...own, items });
    else this.#waiting.delete(team);
  }

  /**
   * The last item of the team with the most waiting items per weight, if that is more than this team's would be with one more item;
   * otherwise null.
   */
  surplusOver({ team, weight }: Share): { team: string; item: T } | null {
    let most = ((this.#waiting.get(team)?.items.length ?? 0) + 1) / weight;
    let found: { team: string; item: T } | null = null;
    for (const [other, { items, weight: its }] of this.#waiting) {
      if (other === team || items.length / its <= most) continue;
      most = items.length / its;
      found = { team: other, item: items.at(-1)! };
    }
    return found;
  }

  #next(fits: (item: T) => boolean): (Share & { item: T }) | undefined {
    let next: (Share & { item: T }) | undefined;
    for (const [team, { weight, items }] of this.#waiting) {
      if (next && this.#startOf(team) >= this.#startOf(next.team)) continue;
      const item = items.find(fits);
      if (item !== undefined) next = { team, weight, item };
    }
    return next;
  }

  #startOf(team: string): number {
    return Math.max(this.#clock, this.#times.get(team) ?? 0);
  }
}

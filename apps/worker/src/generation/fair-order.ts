/** Whose request it is, and how much of the generator that team should get, next to the others that want it. */
export interface Share {
  team: string;
  weight: number;
}

/** Units beyond the clock with which a team comes out of one long answer at most. */
const mostOwed = 30;

/**
 * What waits, in the order of its teams' turns: deficit round robin by weight, as jobs are picked (docs/fairness.md). A turn costs a
 * unit when it begins; what it takes beyond that is charged at its end.
 */
export class FairOrder<T> {
  /** By team, in the order in which they began to wait. */
  readonly #waiting = new Map<string, { weight: number; items: T[] }>();
  /** Virtual times of teams that are ahead of the clock. */
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

  /** The next item; undefined: none waits. */
  get next(): T | undefined {
    const team = this.#nextTeam();
    return team === undefined ? undefined : this.#waiting.get(team)!.items[0];
  }

  /** Takes the next item out. */
  shift(): T | undefined {
    const team = this.#nextTeam();
    if (team === undefined) return undefined;
    const { weight, items } = this.#waiting.get(team)!;
    this.begin({ team, weight });
    const item = items[0]!;
    this.remove(team, item);
    return item;
  }

  /** Charges a turn that begins, without having waited too. */
  begin({ team, weight }: Share): void {
    this.#clock = this.#startOf(team);
    this.#times.set(team, this.#clock + 1 / weight);
    for (const [other, time] of this.#times) if (time <= this.#clock) this.#times.delete(other);
  }

  /** Charges what a turn took beyond its first unit. */
  charge({ team, weight }: Share, units: number): void {
    const time = this.#startOf(team);
    this.#times.set(team, Math.max(time, Math.min(time + units / weight, this.#clock + mostOwed)));
  }

  remove(team: string, item: T): void {
    const own = this.#waiting.get(team);
    const items = own?.items.filter((other) => other !== item);
    if (!own || !items || items.length === own.items.length) return;
    this.#length--;
    if (items.length > 0) this.#waiting.set(team, { ...own, items });
    else this.#waiting.delete(team);
  }

  /** The last item of the team that has most waiting for its weight, if that is more than this share would have with one more. */
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

  #nextTeam(): string | undefined {
    let next: string | undefined;
    for (const team of this.#waiting.keys()) {
      if (next === undefined || this.#startOf(team) < this.#startOf(next)) next = team;
    }
    return next;
  }

  #startOf(team: string): number {
    return Math.max(this.#clock, this.#times.get(team) ?? 0);
  }
}

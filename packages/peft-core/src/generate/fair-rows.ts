/** The team that owns a sequence, and the team's share relative to other teams. */
export interface Owned {
  team: string;
  weight: number;
}

/**
 * Chooses the sequences of a step with fewer rows than sequences: teams get rows by weight, and the sequences of a team take turns.
 * A team accumulates no credit while it has no sequences.
 */
export class FairRows<T extends Owned> {
  /** Number of rows that each team of the last step has had, divided by its weight. */
  #times = new Map<string, number>();
  /** The step in which each was last picked. */
  readonly #picked = new WeakMap<T, number>();
  #step = 0;

  pick(all: readonly T[], capacity: number): T[] {
    this.#step++;
    const waiting = this.#enter(all);
    for (const own of waiting.values())
      own.sort((a, b) => (this.#picked.get(a) ?? 0) - (this.#picked.get(b) ?? 0));
    const picked: T[] = [];
    while (picked.length < capacity && waiting.size > 0) {
      const [team, own] = [...waiting].reduce((least, next) =>
        this.#times.get(next[0])! < this.#times.get(least[0])! ? next : least,
      );
      const next = own.shift()!;
      if (own.length === 0) waiting.delete(team);
      this.charge(next, 1);
      this.#picked.set(next, this.#step);
      picked.push(next);
    }
    return picked;
  }

  /** All in the order of their teams' turns, which `charge` pays for. */
  order(all: readonly T[]): T[] {
    const teams = [...this.#enter(all)];
    return teams.sort(([a], [b]) => this.#times.get(a)! - this.#times.get(b)!).flatMap(([, own]) => own);
  }

  /** Charges the team of one of the last `order`. */
  charge({ team, weight }: T, units: number): void {
    const time = this.#times.get(team);
    if (time !== undefined) this.#times.set(team, time + units / weight);
  }

  /** The sequences by team. Forgets the teams that have none; a new one starts with the team whose turn it is. */
  #enter(all: readonly T[]): Map<string, T[]> {
    const waiting = new Map<string, T[]>();
    for (const one of all) waiting.set(one.team, [...(waiting.get(one.team) ?? []), one]);
    const known = [...waiting.keys()].flatMap((team) => this.#times.get(team) ?? []);
    const clock = known.length > 0 ? Math.min(...known) : 0;
    this.#times = new Map([...waiting.keys()].map((team) => [team, this.#times.get(team) ?? clock]));
    return waiting;
  }
}

/** The team that owns a sequence, and the team's share relative to other teams. */
export interface Owned {
  team: string;
  weight: number;
}

/** Maximum number of units that one charge may put a team ahead of the others. */
const MAX_AHEAD = 30_000;

/**
 * Chooses what is computed next where there is more than a step can hold: teams get units by weight, and what a team has waiting takes
 * turns. A pick costs one unit, a row of a step or a millisecond; what it costs beyond that is charged afterwards. A team accumulates no
 * credit while it has nothing waiting, and keeps its debts.
 */
export class FairRows<T extends Owned> {
  /** Units that each team has had, divided by its weight; of absent teams only if they are ahead of the clock. */
  readonly #times = new Map<string, number>();
  /** The time of the team that is furthest behind. */
  #clock = 0;
  /** The step in which each was last picked. */
  readonly #picked = new WeakMap<T, number>();
  #step = 0;

  pick(all: readonly T[], capacity: number): T[] {
    this.#step++;
    const waiting = byTeam(all);
    const teams = [...waiting.keys()];
    for (const own of waiting.values())
      own.sort((a, b) => (this.#picked.get(a) ?? 0) - (this.#picked.get(b) ?? 0));
    const picked: T[] = [];
    while (picked.length < capacity && waiting.size > 0) {
      const [team, own] = [...waiting].reduce((least, next) =>
        this.#timeOf(next[0]) < this.#timeOf(least[0]) ? next : least,
      );
      const next = own.shift()!;
      if (own.length === 0) waiting.delete(team);
      this.#times.set(team, this.#timeOf(team) + 1 / next.weight);
      this.#picked.set(next, this.#step);
      picked.push(next);
    }
    this.#advance(teams);
    return picked;
  }

  /** All in the order of their teams' turns, which cost nothing until they are charged. */
  order(all: readonly T[]): T[] {
    const waiting = byTeam(all);
    this.#advance([...waiting.keys()]);
    return [...waiting].sort(([a], [b]) => this.#timeOf(a) - this.#timeOf(b)).flatMap(([, own]) => own);
  }

  /** Charges the units that a turn has cost, of a pick those beyond the first. */
  charge({ team, weight }: Owned, units: number): void {
    if (units > 0) this.#times.set(team, this.#timeOf(team) + Math.min(units, MAX_AHEAD) / weight);
  }

  /** Moves the clock to the team that is furthest behind of those that have something waiting. */
  #advance(teams: readonly string[]): void {
    this.#clock = Math.max(
      this.#clock,
      teams.length > 0 ? Math.min(...teams.map((team) => this.#timeOf(team))) : 0,
    );
    for (const [team, time] of this.#times) if (time <= this.#clock) this.#times.delete(team);
  }

  #timeOf(team: string): number {
    return Math.max(this.#clock, this.#times.get(team) ?? 0);
  }
}

function byTeam<T extends Owned>(all: readonly T[]): Map<string, T[]> {
  const waiting = new Map<string, T[]>();
  for (const one of all) waiting.set(one.team, [...(waiting.get(one.team) ?? []), one]);
  return waiting;
}

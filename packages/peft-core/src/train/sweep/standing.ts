import type { Rung } from '../../config/index.ts';

/** How far a trial has come. All that a sweep decides follows from this, so it needs no other state. */
export interface TrialProgress {
  /** Validation loss at each rung that it has reached, in order. */
  losses: readonly number[];
  /** Its loss was not a number in training, on the way to the rung after those: it is out. */
  diverged: boolean;
}

/** What is done next: one trial, from one rung to the next. */
export interface Segment {
  trial: number;
  /** Its own steps: those that it has done at the rung before, and those of this one. */
  from: number;
  until: number;
  /** Steps that are planned for all segments before this one. */
  before: number;
}

export interface Standing {
  /** Null when all is done. */
  next: Segment | null;
  /** Trials that may still win, by their index. */
  running: ReadonlySet<number>;
  /** The one that is left at the end; null before, and when all have diverged. */
  winner: number | null;
}

/**
 * Where a sweep stands. Within a rung trials go on in their order, so that those of one configuration follow each other; which go on
 * to the next is told when all have reached it, but whoever is surely not among them is out at once, and nothing of it is kept.
 */
export function standingOf(rungs: readonly Rung[], trials: readonly TrialProgress[]): Standing {
  let field = trials.map((_, trial) => trial);
  let planned = field.length;
  let [before, from] = [0, 0];
  for (const [at, { step: until, survivors }] of rungs.entries()) {
    const isThere = (trial: number) => trials[trial]!.diverged || trials[trial]!.losses.length > at;
    const best = bestOf(field.filter(isThere), trials, at).slice(0, survivors);
    const position = field.findIndex((trial) => !isThere(trial));
    if (position >= 0) {
      const running = field.filter((trial) => !isThere(trial) || best.includes(trial));
      const next = { trial: field[position]!, from, until, before: before + position * (until - from) };
      return { next, running: new Set(running), winner: null };
    }
    // Where some have diverged fewer may be left than planned.
    before += planned * (until - from);
    [field, planned, from] = [best.sort((a, b) => a - b), survivors, until];
  }
  return { next: null, running: new Set(field), winner: field[0] ?? null };
}

/** Those that have reached a rung, by their loss there, the first of equal ones first; a loss that is not a number is the last. */
function bestOf(field: readonly number[], trials: readonly TrialProgress[], rung: number): number[] {
  const lossOf = (trial: number) => {
    const loss = trials[trial]!.losses[rung]!;
    return Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss;
  };
  const reached = field.filter((trial) => trials[trial]!.losses.length > rung);
  return reached.sort((a, b) => order(lossOf(a), lossOf(b)) || a - b);
}

const order = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);

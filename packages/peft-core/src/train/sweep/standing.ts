import { type Rung, sweepSteps } from '../../config/index.ts';

/** How far a trial has come. All that a sweep decides follows from this, so it needs no other state. */
export interface TrialProgress {
  /** Validation loss at each rung that it has reached, in order. */
  losses: readonly number[];
  /** The same of what decides before the loss, smaller is better; absent: the loss decides. */
  values?: readonly number[];
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
  /** Steps of all segments: `sweepSteps`, and those of trials that went on because they were as good as the last that did. */
  total: number;
}

/**
 * Where a sweep stands. Within a rung trials go on in their order, so that those of one configuration follow each other; which go on
 * to the next is told when all have reached it, but whoever is surely not among them is out at once, and nothing of it is kept.
 */
export function standingOf(rungs: readonly Rung[], trials: readonly TrialProgress[]): Standing {
  let field = trials.map((_, trial) => trial);
  let planned = field.length;
  let [before, from, total] = [0, 0, sweepSteps(trials.length, rungs)];
  for (const [at, { step: until, survivors, cutsTies }] of rungs.entries()) {
    const isThere = (trial: number) => trials[trial]!.diverged || trials[trial]!.losses.length > at;
    const isEnd = at === rungs.length - 1;
    const reached = bestOf(field, trials, at);
    const last = reached[survivors - 1];
    const isAsGood = (trial: number) => compared(trials[trial]!, trials[last!]!, at) === 0;
    const best = reached.filter((trial, i) => i < survivors || (!cutsTies && !isEnd && isAsGood(trial)));
    const position = field.findIndex((trial) => !isThere(trial));
    if (position >= 0) {
      const running = field.filter((trial) => !isThere(trial) || best.includes(trial));
      const next = { trial: field[position]!, from, until, before: before + position * (until - from) };
      return { next, running: new Set(running), winner: null, total };
    }
    // Where some have diverged fewer may be left than planned.
    before += planned * (until - from);
    const more = Math.max(0, best.length - survivors);
    if (!isEnd) total += more * (rungs[at + 1]!.step - until);
    [field, planned, from] = [best.sort((a, b) => a - b), survivors + more, until];
  }
  return { next: null, running: new Set(field), winner: field[0] ?? null, total };
}

/** Those that have reached a rung, the best first, of equal ones the first. */
function bestOf(field: readonly number[], trials: readonly TrialProgress[], rung: number): number[] {
  const reached = field.filter((trial) => trials[trial]!.losses.length > rung);
  return reached.sort((a, b) => compared(trials[a]!, trials[b]!, rung) || a - b);
}

/** By what decides, then by the loss. What is not a number is the last. */
function compared(a: TrialProgress, b: TrialProgress, rung: number): number {
  const of = (numbers: readonly number[] | undefined) => {
    const number = numbers?.[rung] ?? 0;
    return Number.isNaN(number) ? Number.POSITIVE_INFINITY : number;
  };
  return order(of(a.values), of(b.values)) || order(of(a.losses), of(b.losses));
}

const order = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);

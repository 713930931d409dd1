import { type Rung, sweepSteps } from '../../config/index.ts';

/** Progress of a trial. All decisions of a sweep follow from it, so a sweep needs no other state. */
export interface TrialProgress {
  /** Validation loss at each rung that the trial has reached, in order. */
  losses: readonly number[];
  /** Values of the metric that takes precedence over the loss, smaller is better; absent: the loss decides. */
  values?: readonly number[];
  /** The training loss was not a number on the way to the next rung: the trial is out. */
  diverged: boolean;
}

/** The next work of a sweep: one trial, from one rung to the next. */
export interface SweepSegment {
  trial: number;
  /** Steps of the trial itself: at the previous rung, and at this one. */
  from: number;
  until: number;
  /** Steps planned for all segments before this one. */
  before: number;
}

export interface SweepProgress {
  /** Null when the sweep is finished. */
  next: SweepSegment | null;
  /** Indices of the trials that may still win. */
  running: ReadonlySet<number>;
  /** Index of the last remaining trial; null before the end, and if all have diverged. */
  winner: number | null;
  /** Steps of all segments: `sweepSteps` plus those of trials that continue because they tie with the last survivor. */
  total: number;
}

/**
 * The current state of a sweep. Within a rung trials run in index order, so that trials with the same configuration follow each other.
 * Which trials continue is known when all have reached the rung, but a trial that surely does not is out at once, and its state is
 * dropped.
 */
export function sweepProgress(rungs: readonly Rung[], trials: readonly TrialProgress[]): SweepProgress {
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
    // If trials diverged, fewer may remain than planned.
    before += planned * (until - from);
    const more = Math.max(0, best.length - survivors);
    if (!isEnd) total += more * (rungs[at + 1]!.step - until);
    [field, planned, from] = [best.sort((a, b) => a - b), survivors + more, until];
  }
  return { next: null, running: new Set(field), winner: field[0] ?? null, total };
}

/** The trials that have reached a rung, best first; ties by index. */
function bestOf(field: readonly number[], trials: readonly TrialProgress[], rung: number): number[] {
  const reached = field.filter((trial) => trials[trial]!.losses.length > rung);
  return reached.sort((a, b) => compared(trials[a]!, trials[b]!, rung) || a - b);
}

/** Compares by the deciding metric, then by the loss. NaN sorts last. */
function compared(a: TrialProgress, b: TrialProgress, rung: number): number {
  const of = (numbers: readonly number[] | undefined) => {
    const number = numbers?.[rung] ?? 0;
    return Number.isNaN(number) ? Number.POSITIVE_INFINITY : number;
  };
  return order(of(a.values), of(b.values)) || order(of(a.losses), of(b.losses));
}

const order = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);

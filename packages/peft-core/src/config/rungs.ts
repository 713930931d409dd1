/** Successive halving: all trials of a sweep train to the first rung, the best of each go on to the next. */

/** Of a rung's trials one in so many goes on. Three, as in the Hyperband paper: https://arxiv.org/abs/1603.06560, section 2. */
const REDUCTION = 3;
/** So many trials all train to the end. */
const MOST_UNCOMPARED = 4;
/** More than so many are compared twice. */
const MOST_COMPARED_ONCE = 17;
/** Of all steps, where the last comparison is: at half of them a cosine has fallen to half its peak. The one before is at half of that. */
const LAST_COMPARISON = 1 / 2;

/** So many configurations share one loaded base, where they can: the graph and the state of each stay in memory with it. */
export const SHARED_ADAPTERS = 4;

/**
 * How trials are compared. `late`: as below. `early`, by versions before it, with which sweeps that they began go on: from a ninth of the
 * steps on, by their losses alone, and of equal ones the first continues.
 */
export type Comparison = 'early' | 'late';

/** Where the trials that are left are compared. */
export interface Rung {
  /** Optimizer steps that each of them has done. */
  step: number;
  /** So many go on, and those that are as good as the last of them. */
  survivors: number;
  /** Of those that are as good as the last of them the first go on alone. */
  cutsTies?: true;
}

/** Each comparison by the share of all steps that is done then, and how many are left after it. */
function comparisonsOf(trials: number): { share: number; survivors: number }[] {
  if (trials <= MOST_UNCOMPARED) return [];
  const times = trials <= MOST_COMPARED_ONCE ? 1 : 2;
  return Array.from({ length: times }, (_, at) => ({
    share: LAST_COMPARISON / 2 ** (times - 1 - at),
    survivors: Math.ceil(trials / REDUCTION ** (at + 1)),
  }));
}

/** The same of versions before. */
function earlyComparisonsOf(trials: number): { share: number; survivors: number }[] {
  const left: number[] = [];
  for (let field = trials; field > 1; ) {
    field = Math.max(1, Math.floor(field / REDUCTION));
    left.push(field);
  }
  return left.map((survivors, at) => ({ share: 1 / REDUCTION ** (left.length - at), survivors }));
}

/** Whether so many trials are compared before their end. */
export const areCompared = (trials: number): boolean => comparisonsOf(trials).length > 0;

/** Steps between evaluations that a sweep has unless it says: as many as the first of two comparisons has. */
export function sweepEvalSteps(steps: number): number {
  return Math.max(1, Math.floor((steps * LAST_COMPARISON) / 2));
}

/**
 * The rungs of so many trials by ascending step; the last is the end, from which one is published. A trial is compared where it is
 * evaluated anyway, so that it is measured as a job of its own would be. Where there are fewer such steps than comparisons, several
 * are made at one.
 */
export function rungsOf(
  trials: number,
  steps: number,
  evalSteps: number,
  comparison: Comparison = 'late',
): Rung[] {
  const isEarly = comparison === 'early';
  const ties = isEarly ? ({ cutsTies: true } as const) : {};
  const bySteps = new Map<number, Rung>();
  for (const { share, survivors } of isEarly ? earlyComparisonsOf(trials) : comparisonsOf(trials)) {
    const step = Math.max(1, Math.round((steps * share) / evalSteps)) * evalSteps;
    if (step < steps) bySteps.set(step, { step, survivors, ...ties });
  }
  return [...bySteps.values(), { step: steps, survivors: 1, ...ties }];
}

/** Optimizer steps of all trials together, where none are as good as others. */
export function sweepSteps(trials: number, rungs: readonly Rung[]): number {
  let [total, field, from] = [0, trials, 0];
  for (const { step, survivors } of rungs) {
    total += field * (step - from);
    [field, from] = [survivors, step];
  }
  return total;
}

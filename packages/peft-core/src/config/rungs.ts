/** Successive halving: all trials of a sweep train to the first rung, the best of each rung continue to the next. */

/** At each rung one in this many trials continues. Three, as in the Hyperband paper: https://arxiv.org/abs/1603.06560, section 2. */
const REDUCTION = 3;
/** Up to this number, all trials train to the end. */
const MAX_UNCOMPARED = 4;
/** More trials than this are compared twice. */
const MAX_COMPARED_ONCE = 17;
/** Share of all steps at the last comparison, where a cosine has fallen to half its peak. The comparison before is at half this share. */
const LAST_COMPARISON = 1 / 2;

/** Maximum number of configurations that share one loaded base: the graph and the state of each stay in memory with it. */
export const SHARED_ADAPTERS = 4;

/**
 * How trials are compared. `late`: as described below. `early`: as in earlier versions, kept for the sweeps that they started: from a
 * ninth of the steps on, only by loss, and the first of equal trials continues.
 */
export type Comparison = 'early' | 'late';

/** The step at which the remaining trials are compared. */
export interface Rung {
  /** Optimizer steps that each trial has done. */
  step: number;
  /** Number of trials that continue; trials that tie with the last of them continue, too. */
  survivors: number;
  /** Ties with the last survivor are cut: the first of equal trials continue. */
  cutsTies?: true;
}

/** Each comparison's share of all steps, and the number of trials that continue after it. */
function comparisonsOf(trials: number): { share: number; survivors: number }[] {
  if (trials <= MAX_UNCOMPARED) return [];
  const times = trials <= MAX_COMPARED_ONCE ? 1 : 2;
  return Array.from({ length: times }, (_, at) => ({
    share: LAST_COMPARISON / 2 ** (times - 1 - at),
    survivors: Math.ceil(trials / REDUCTION ** (at + 1)),
  }));
}

/** The same for `early` comparison. */
function earlyComparisonsOf(trials: number): { share: number; survivors: number }[] {
  const left: number[] = [];
  for (let field = trials; field > 1; ) {
    field = Math.max(1, Math.floor(field / REDUCTION));
    left.push(field);
  }
  return left.map((survivors, at) => ({ share: 1 / REDUCTION ** (left.length - at), survivors }));
}

/** Returns true if a sweep of this many trials compares them before the end. */
export const areCompared = (trials: number): boolean => comparisonsOf(trials).length > 0;

/** Default number of steps between evaluations in a sweep: the steps before the first of two comparisons. */
export function sweepEvalSteps(steps: number): number {
  return Math.max(1, Math.floor((steps * LAST_COMPARISON) / 2));
}

/**
 * The rungs of a sweep by ascending step; the last is the end, where the best trial is published. Trials are compared at steps where they
 * are evaluated anyway, so that the measurements equal those of a separate job. If there are fewer such steps than comparisons,
 * several comparisons are made at one step.
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

/** Optimizer steps of all trials together, without ties. */
export function sweepSteps(trials: number, rungs: readonly Rung[]): number {
  let [total, field, from] = [0, trials, 0];
  for (const { step, survivors } of rungs) {
    total += field * (step - from);
    [field, from] = [survivors, step];
  }
  return total;
}

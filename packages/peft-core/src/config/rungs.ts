/** Successive halving: all trials of a sweep train to the first rung, the best of each go on to the next. */

/** Of a rung's trials one in so many goes on. Three, as in the Hyperband paper: https://arxiv.org/abs/1603.06560, section 2. */
const REDUCTION = 3;

/** So many configurations share one loaded base, where they can: the graph and the state of each stay in memory with it. */
export const SHARED_ADAPTERS = 4;

/** Where the trials that are left are compared. */
export interface Rung {
  /** Optimizer steps that each of them has done. */
  step: number;
  /** So many go on. */
  survivors: number;
}

/** How many are left after each comparison, down to one. */
function survivorsOf(trials: number): number[] {
  const left: number[] = [];
  for (let field = trials; field > 1; ) {
    field = Math.max(1, Math.floor(field / REDUCTION));
    left.push(field);
  }
  return left;
}

/** Steps between evaluations that a sweep has unless it says: as many as its first rung has, of which the others are multiples. */
export function sweepEvalSteps(trials: number, steps: number): number {
  return Math.max(1, Math.floor(steps / REDUCTION ** survivorsOf(trials).length));
}

/**
 * The rungs of so many trials by ascending step; the last is the end, from which one is published. A trial is compared where it is
 * evaluated anyway, so that it is measured as a job of its own would be. Where there are fewer such steps than comparisons, several
 * are made at one.
 */
export function rungsOf(trials: number, steps: number, evalSteps: number): Rung[] {
  const left = survivorsOf(trials);
  const bySteps = new Map<number, Rung>();
  for (const [at, survivors] of left.entries()) {
    const share = steps / REDUCTION ** (left.length - at);
    const step = Math.max(1, Math.round(share / evalSteps)) * evalSteps;
    if (step < steps) bySteps.set(step, { step, survivors });
  }
  return [...bySteps.values(), { step: steps, survivors: 1 }];
}

/** Optimizer steps of all trials together. */
export function sweepSteps(trials: number, rungs: readonly Rung[]): number {
  let [total, field, from] = [0, trials, 0];
  for (const { step, survivors } of rungs) {
    total += field * (step - from);
    [field, from] = [survivors, step];
  }
  return total;
}

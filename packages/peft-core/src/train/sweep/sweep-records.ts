import type { MetricSeries } from '../checkpoints/metric-series.ts';

/** A trial as people see it. */
export interface TrialRow {
  /** From 1. */
  trial: number;
  /**
   * `waiting`: it may go on; `running`; `stopped`: others were better at a rung; `diverged`: its loss was not a number; `won`: it is
   * the one that is published.
   */
  status: 'waiting' | 'running' | 'stopped' | 'diverged' | 'won';
  /** Its own optimizer steps done. */
  step: number;
  /** Validation loss at each rung that it has reached; null: it was not a number. `value`: of metric_for_best_model, if that is no loss. */
  rungs: { step: number; loss: number | null; value?: number | null }[];
}

/** What was measured of one trial between two rungs. */
export interface SweepStretch {
  /** From 1. */
  trial: number;
  /** Steps of the sweep before its step 0: those before the stretch less its own. */
  offset: number;
  /** Its own step of the first row of `train`. The steps of evaluations are its own, too. */
  firstStep: number;
  /** Tokens are those of all trials so far. */
  series: MetricSeries;
}

export interface Winner {
  /** From 1. */
  trial: number;
  trainableParameters: number;
  totalParameters: number;
}

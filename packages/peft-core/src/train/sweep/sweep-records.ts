import type { MetricSeries } from '../checkpoints/metric-series.ts';

/** A trial as presented to users. */
export interface TrialRow {
  /** Number of the trial, from 1. */
  trial: number;
  /**
   * `waiting`: it may continue; `running`; `stopped`: others were better at a rung; `diverged`: its loss was not a number; `won`: its
   * adapter is published.
   */
  status: 'waiting' | 'running' | 'stopped' | 'diverged' | 'won';
  /** Optimizer steps that the trial itself has done. */
  step: number;
  /** Validation loss at each rung that it has reached; null: not a number. `value`: of metric_for_best_model, unless that is the loss. */
  rungs: { step: number; loss: number | null; value?: number | null }[];
}

/** Measurements of one trial between two rungs. */
export interface SweepStretch {
  /** Number of the trial, from 1. */
  trial: number;
  /** Sweep step minus the trial's own step. */
  offset: number;
  /** The trial's own step of the first row of `train`. Steps of evaluations are also the trial's own. */
  firstStep: number;
  /** Tokens count those of all trials so far. */
  series: MetricSeries;
}

export interface Winner {
  /** Number of the trial, from 1. */
  trial: number;
  trainableParameters: number;
  totalParameters: number;
}

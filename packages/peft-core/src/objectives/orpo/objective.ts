import type { Objective } from '../objective.ts';
import { meanMetric, refusedOfPairs, tokenMeanMetrics } from '../preference/metrics.ts';
import { orpoOptions } from './options.ts';

/** Odds-ratio preference optimisation: learn chosen completions, and prefer them by their odds. No reference model. */
export const orpo = {
  name: 'orpo',
  method: 'orpo',
  methodText: {
    title: 'ORPO',
    when: 'Learns chosen answers and prefers them at once: for a model that has not learned the task before.',
  },
  formats: ['preference'],
  examples: 'preference pairs',
  tasks: ['CAUSAL_LM'],
  options: {},
  preference: orpoOptions,
  learnsPrompts: true,
  // Half of its loss is that of supervised training, and a new adapter learns both best at that rate (docs/auto.md). `continued`: that of
  // dpo, not measured.
  rateShares: { fresh: 1, continued: 0.04 },
  refuses: refusedOfPairs,
  metrics: [
    ...tokenMeanMetrics,
    meanMetric('log_odds_ratio', 'Log-sigmoid of the log odds ratio'),
    meanMetric('log_odds_chosen', 'Log odds ratio'),
  ],
  passes: ['policy'],
} as const satisfies Objective;

import type { Objective } from '../objective.ts';
import { refusedOfPairs, tokenMeanMetrics } from '../preference/metrics.ts';
import { simpoOptions } from './options.ts';

/** Simple preference optimisation: prefer chosen completions by their mean log-probability, by a margin. No reference model. */
export const simpo = {
  name: 'simpo',
  method: 'simpo',
  methodText: {
    title: 'SimPO',
    when: 'Compares answers by their mean log-probability per token: for pairs whose chosen answers are longer, and to save the time of a reference.',
  },
  formats: ['preference'],
  examples: 'preference pairs',
  tasks: ['CAUSAL_LM'],
  options: {},
  preference: simpoOptions,
  // Those of dpo: a new adapter is no better at other rates (docs/auto.md). `continued` is not measured.
  rateShares: { fresh: 0.25, continued: 0.04 },
  refuses: refusedOfPairs,
  metrics: tokenMeanMetrics,
  passes: ['policy'],
} as const satisfies Objective;

import type { Objective } from '../objective.ts';
import { pairMetrics, refusedOfPairs } from '../preference/metrics.ts';
import { dpoOptions } from './options.ts';

/** Direct preference optimisation: prefer chosen to rejected completions, compared with the model before training. */
export const dpo = {
  name: 'dpo',
  method: 'dpo',
  methodText: {
    title: 'DPO',
    when: 'Prefers chosen to rejected answers, but stays close to the model before training. The usual choice for pairs.',
  },
  formats: ['preference'],
  examples: 'preference pairs',
  tasks: ['CAUSAL_LM'],
  options: {},
  preference: dpoOptions,
  // Best shares for one task in six rates, and for others in three and four (docs/auto.md). A model that gives the right answers loses them
  // at the rates that a new adapter needs.
  rateShares: { fresh: 0.25, continued: 0.04, known: 0.0025 },
  refuses: refusedOfPairs,
  metrics: pairMetrics,
  passes: ['policy', 'reference'],
} as const satisfies Objective;

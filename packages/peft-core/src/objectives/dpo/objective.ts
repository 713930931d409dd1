import type { Objective } from '../objective.ts';
import { pairMetrics, refusedOfPairs } from '../preference/metrics.ts';
import { preferenceRates } from '../preference/rates.ts';
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
  rateShares: preferenceRates,
  refuses: refusedOfPairs,
  metrics: pairMetrics,
  passes: ['policy', 'reference'],
} as const satisfies Objective;

import type { Objective } from '../objective.ts';
import { correlation, ranks } from './correlation.ts';

/** Squared difference between the cosine of two texts and their score. */
export const cosine = {
  name: 'cosine',
  method: 'supervised',
  formats: ['scored_pairs'],
  examples: 'scored pairs',
  tasks: ['FEATURE_EXTRACTION'],
  options: {},
  promptColumns: { sentence1: [], sentence2: [] },
  refuses: { label_smoothing_factor: 'is of tokens and classes, and FEATURE_EXTRACTION has neither' },
  metrics: [
    {
      name: 'pearson',
      label: 'Pearson correlation',
      unit: 'number',
      better: 'higher',
      measured: ['evaluation'],
      measure: ({ wanted, predicted }) => correlation(wanted, predicted),
    },
    {
      name: 'spearman',
      label: 'Spearman correlation',
      unit: 'number',
      better: 'higher',
      measured: ['evaluation'],
      measure: ({ wanted, predicted }) => correlation(ranks(wanted), ranks(predicted)),
    },
  ],
  passes: ['policy'],
} as const satisfies Objective;

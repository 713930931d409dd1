import type { Metric } from './objective.ts';

export const accuracy = {
  name: 'accuracy',
  label: 'Accuracy',
  unit: 'share',
  better: 'higher',
  measured: ['step', 'evaluation'],
  field: 'token_accuracy',
  forBestModel: 'eval_accuracy',
  measure: ({ accuracy }) => accuracy,
} as const satisfies Metric;

import { accuracy } from '../accuracy.ts';
import type { Objective } from '../objective.ts';
import { f1OfSets } from './f1-of-sets.ts';

const needsOneClass = 'is of classes of which a text has one, and here it may have several';

/** Binary cross entropy of every class; a text may have none, one or several. */
export const labelSets = {
  name: 'label_sets',
  method: 'supervised',
  formats: ['multi_label_classification'],
  tasks: ['SEQ_CLS'],
  options: {},
  refuses: { label_smoothing_factor: needsOneClass, class_weights: needsOneClass },
  metrics: [
    accuracy,
    {
      name: 'micro_f1',
      label: 'Micro F1',
      unit: 'share',
      better: 'higher',
      measured: ['evaluation'],
      measure: ({ wanted, predicted, classes }) => f1OfSets(wanted, predicted, classes).micro,
    },
    {
      name: 'macro_f1',
      label: 'Macro F1',
      unit: 'share',
      better: 'higher',
      measured: ['evaluation'],
      measure: ({ wanted, predicted, classes }) => f1OfSets(wanted, predicted, classes).macro,
    },
  ],
  passes: ['policy'],
  hasLabelSets: true,
} as const satisfies Objective;

import { accuracy } from '../accuracy.ts';
import type { Objective } from '../objective.ts';

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

/**
 * F1 over all classes together, and the mean of the F1 of each class, 0 for a class neither wanted nor predicted. Source: scikit-learn,
 * f1_score for multi-label indicators (average "micro" and "macro", zero_division 0).
 */
export function f1OfSets(
  wanted: readonly number[],
  predicted: readonly number[],
  classes: number,
): { micro: number; macro: number } {
  const hits = new Array<number>(classes).fill(0);
  const all = new Array<number>(classes).fill(0);
  for (const [i, value] of wanted.entries()) {
    hits[i % classes]! += value * predicted[i]!;
    all[i % classes]! += value + predicted[i]!;
  }
  const total = (values: number[]) => values.reduce((sum, value) => sum + value, 0);
  const f1 = (hits: number, all: number) => (all === 0 ? 0 : (2 * hits) / all);
  return {
    micro: f1(total(hits), total(all)),
    macro: total(hits.map((each, k) => f1(each, all[k]!))) / classes,
  };
}

import { Type } from 'typebox';
import { accuracy } from '../accuracy.ts';
import type { Objective } from '../objective.ts';

const weight = Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 });

/** Cross entropy of the class of a text, or of each word. */
export const classification = {
  name: 'classification',
  method: 'supervised',
  formats: ['classification', 'token_classification'],
  tasks: ['SEQ_CLS', 'TOKEN_CLS'],
  options: {
    class_weights: Type.Optional(
      Type.Union(
        [
          Type.Literal('balanced'),
          Type.Array(weight, { minItems: 2, maxItems: 10_000 }),
          Type.Record(Type.String({ minLength: 1, maxLength: 256 }), weight, { maxProperties: 10_000 }),
        ],
        {
          description:
            'Of classifiers: how much a class counts in the training loss. By label (those left out count 1), as a list in the order of the labels, or "balanced": the fewer examples a class has, the more. Default: all the same.',
        },
      ),
    ),
  },
  whyNotOptions: (task) => `is of classifiers, and ${task} has no classes`,
  metrics: [
    accuracy,
    {
      name: 'macro_f1',
      label: 'Macro F1',
      unit: 'share',
      better: 'higher',
      measured: ['evaluation'],
      measure: ({ wanted, predicted }) => macroF1(wanted, predicted),
    },
  ],
  passes: ['policy'],
} as const satisfies Objective;

/** Mean F1 over all classes that are wanted or predicted; F1 = 2 · hits / (wanted + predicted). Source: scikit-learn, f1_score. */
export function macroF1(wanted: readonly number[], predicted: readonly number[]): number {
  const counts = new Map<number, { hits: number; all: number }>();
  const add = (label: number, hits: number, all: number) => {
    const count = counts.get(label) ?? { hits: 0, all: 0 };
    counts.set(label, { hits: count.hits + hits, all: count.all + all });
  };
  for (const [i, label] of wanted.entries()) {
    add(label, label === predicted[i] ? 1 : 0, 1);
    add(predicted[i]!, 0, 1);
  }
  const f1 = [...counts.values()].map(({ hits, all }) => (2 * hits) / all);
  return f1.reduce((sum, value) => sum + value, 0) / f1.length;
}

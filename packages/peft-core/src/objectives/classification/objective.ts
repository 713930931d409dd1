import { Type } from 'typebox';
import { accuracy } from '../accuracy.ts';
import type { Objective } from '../objective.ts';
import { macroF1 } from './macro-f1.ts';

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

import type { ResolvedTraining } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { cut } from '../schema/check-fields.ts';
import { nearest } from '../schema/nearest.ts';
import { NO_TARGET, type TrainingExample } from './training-example.ts';

export type ClassWeights = NonNullable<ResolvedTraining['class_weights']>;

/**
 * Weight of each class in the training loss, in the order of the labels; null: all equal. "balanced" is
 * n / (classes · n of the class), counted over the training examples after the split. Throws as `checkClassWeights` does.
 * Source: scikit-learn, utils/class_weight.py (compute_class_weight).
 */
export function classWeightsOf(
  asked: ClassWeights | undefined,
  { labels, training }: { labels: readonly string[] | null; training: readonly TrainingExample[] },
): number[] | null {
  if (asked === undefined || !labels) return null;
  checkClassWeights(asked, labels);
  if (asked === 'balanced') {
    const counts = countsOf(training, labels.length);
    const all = counts.reduce((sum, count) => sum + count, 0);
    // The weight of a class without examples is never used.
    return counts.map((count) => (count === 0 ? 1 : all / (labels.length * count)));
  }
  if (Array.isArray(asked)) return asked;
  return labels.map((label) => (Object.hasOwn(asked, label) ? asked[label]! : 1));
}

/** Throws `invalid_training_option` for weights of classes that the data does not have. */
export function checkClassWeights(asked: ClassWeights, labels: readonly string[]): void {
  if (asked === 'balanced') return;
  if (Array.isArray(asked)) {
    if (asked.length === labels.length) return;
    throw fault(`has ${asked.length} weights, and the data has ${labels.length} classes: ${listed(labels)}`);
  }
  const unknown = Object.keys(asked).find((name) => !labels.includes(name));
  if (unknown === undefined) return;
  const [near] = nearest(unknown, labels);
  const known = near ? `; did you mean "${near}"?` : `, which has ${listed(labels)}`;
  throw fault(`"${cut(unknown, 100)}" is no label of the data${known}`);
}

function countsOf(training: readonly TrainingExample[], classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const { label, sequences } of training) {
    if (label !== undefined) counts[label]!++;
    else for (const target of sequences[0]!.targets ?? []) if (target !== NO_TARGET) counts[target]!++;
  }
  return counts;
}

const listed = (labels: readonly string[]) =>
  `${labels.slice(0, 10).join(', ')}${labels.length > 10 ? ', …' : ''}`;

function fault(message: string): GraftError {
  return new GraftError('invalid_training_option', `training.class_weights: ${message}`, {
    param: 'training.class_weights',
  });
}

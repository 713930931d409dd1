import { tf, withControlDependency } from '@graft/tf-graph';
import { exactly } from '../../../nn/computation.ts';
import { headLoss, lossesOfLogits, oneHot } from '../../../nn/cross-entropy.ts';
import { embedding } from '../../../nn/embedding.ts';
import { type FrozenWeight, type Weight, weightShape } from '../../../nn/weight.ts';
import type { Forward, Loss, ObjectiveLoss, Smoothing } from '../objective-loss.ts';

/** `label_scales`: weight of each label's loss in the total. */
type Inputs = Record<'label_positions' | 'label_ids' | 'label_scales', tf.Tensor>;

/** Cross entropy at the positions that carry a label: a token of the vocabulary, or a class. */
export const labelLoss: ObjectiveLoss<keyof Inputs> = {
  inputs: ({ labels }) => ({
    label_positions: { shape: [labels], dtype: 'int32' },
    label_ids: { shape: [labels], dtype: 'int32' },
    label_scales: { shape: [labels], dtype: 'float32' },
  }),
  feeds: ({ labelPositions, labelIds }) => ({ label_positions: labelPositions, label_ids: labelIds }),
  wanted: ({ labelIds, labelCount }) => labelIds.subarray(0, labelCount),
  loss,
};

function loss(
  { model, parameters, training, runtime, hidden, smoothing }: Forward,
  { label_ids: labels, label_scales: scales }: Inputs,
): Loss {
  const { architecture } = model;
  // `hidden` has only the positions with a label, so the last block and the head, the widest layer, skip the others.
  const labelled = architecture.finalNorm(runtime, hidden);
  const counted = (correct: tf.Tensor) => tf.sum(tf.mul(correct, tf.cast(tf.greater(scales, 0), 'float32')));
  const head = model.languageHead(parameters);
  // The addition of label smoothing is a sum over a head's own logits, not over capped ones.
  if (head && !(smoothing && head.cap !== undefined)) {
    const { total, correct } = headLoss(labelled, head, labels, scales, training !== null);
    if (!smoothing) return { total, correct: counted(correct) };
    const smoothed = tf.add(total, headSmoothing(labelled, head.weight, labels, scales, smoothing.factor));
    return { total: smoothed, correct: counted(correct) };
  }
  const logits = architecture.logits!(runtime, labelled);
  const { losses, correct } = lossesOfLogits(logits, labels);
  const total = smoothing
    ? smoothedTotal({ logits, losses, labels, scales }, smoothing)
    : tf.sum(tf.mul(losses, scales));
  const loss = { total, correct: counted(correct) };
  return architecture.languageHead === null ? { ...loss, predictions: tf.argMax(logits, -1) } : loss;
}

/**
 * The addition of label smoothing to the total loss of a head `(V, H)` without a bias: hidden `(K, H)`, labels and scales `(K)`. The
 * smoothed loss is `(1 − ε) · (lse − z_y) + ε · (lse − mean z)`, which exceeds the plain one by `ε · (z_y − mean z) =
 * ε · h · (W_y − mean W)`: this needs no logits, so the head's kernel stays in use.
 * Source: transformers, trainer_pt_utils.py (LabelSmoother).
 */
export function headSmoothing(
  hidden: tf.Tensor,
  head: Weight,
  labels: tf.Tensor,
  scales: tf.Tensor,
  factor: number,
): tf.Tensor {
  const apart = tf.sub(embedding(labels, head), meanRow(head, hidden)); // (K, H)
  const excess = tf.sum(tf.mul(exactly(hidden), apart), -1); // (K)
  return tf.mul(tf.sum(tf.mul(excess, scales)), factor);
}

/** The mean of a weight's rows `(1, H)`, computed no earlier than `after`. */
function meanRow(weight: Weight, after: tf.Tensor): tf.Tensor {
  const count = weightShape(weight)[0]!;
  switch (weight.kind) {
    case 'frozen':
      return tf.div(sumOfRows(weight, after), count);
    case 'trained':
      return tf.mean(weight.tensor, 0, true);
    case 'rows': {
      const before = weight.base.gather(tf.tensor1d(weight.ids, 'int32'));
      const change = tf.sum(tf.sub(weight.rows, before), 0, true);
      return tf.div(tf.add(sumOfRows(weight.base, after), change), count);
    }
  }
}

/** Sums slice by slice, so that an unpacked weight never exists as a whole. */
function sumOfRows({ slices, read }: FrozenWeight, after: tf.Tensor): tf.Tensor {
  const sumOf = (rows: tf.Tensor) => tf.sum(exactly(rows), 0, true);
  if (!slices || slices.length < 2) return sumOf(read(after));
  let sum: tf.Tensor | undefined;
  for (const slice of slices) {
    const part = sumOf(slice.read(sum ? withControlDependency(after, sum) : after));
    sum = sum ? tf.add(sum, part) : part;
  }
  return sum!;
}

/**
 * The smoothed total of existing logits `(K, V)`: Σ of each target's scale × loss.
 * Source: torch, nn.functional.cross_entropy (label_smoothing, weight).
 */
export function smoothedTotal(
  of: { logits: tf.Tensor; losses: tf.Tensor; labels: tf.Tensor; scales: tf.Tensor },
  { factor, classWeights }: Smoothing,
): tf.Tensor {
  const { losses, labels, scales } = of;
  const logits = exactly(of.logits);
  const classes = logits.shape[1]!;
  const own = tf.sum(tf.mul(logits, oneHot(labels, classes)), -1);
  const lse = tf.add(losses, own); // (K)
  const plain = tf.mul(losses, scales);
  if (!classWeights) {
    const even = tf.mul(tf.sub(lse, tf.mean(logits, -1)), scales);
    return tf.sum(tf.add(tf.mul(plain, 1 - factor), tf.mul(even, factor)));
  }
  // A scale includes the weight of its label's class, but smoothing gives every class a share with its own weight.
  const weights = tf.tensor1d([...classWeights]);
  const all = classWeights.reduce((sum, weight) => sum + weight, 0);
  const shared = tf.sub(tf.mul(lse, all), tf.sum(tf.mul(logits, weights), -1));
  const unweighted = tf.div(scales, tf.gather(weights, labels));
  const even = tf.mul(shared, unweighted);
  return tf.sum(tf.add(tf.mul(plain, 1 - factor), tf.mul(even, factor / classes)));
}

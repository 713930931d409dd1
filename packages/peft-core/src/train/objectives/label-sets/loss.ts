import { customGradient, tf } from '@graft/tf-graph';
import { exactly } from '../../../nn/computation.ts';
import type { Forward, Loss, ObjectiveLoss } from '../objective-loss.ts';

/** `label_targets` `(labels, classes)`: 1 for each class of a text. `label_scales`: weight of each text's loss in the total. */
type Inputs = Record<'label_positions' | 'label_targets' | 'label_scales', tf.Tensor>;

/**
 * Binary cross entropy, averaged over the classes of a text. A text is correct if all its classes are; a probability of 0.5 means no.
 * Source: transformers, loss/loss_utils.py (ForSequenceClassificationLoss, multi_label_classification); torch, BCEWithLogitsLoss.
 */
export const labelSetLoss: ObjectiveLoss<keyof Inputs> = {
  inputs: ({ labels }, _, classes) => ({
    label_positions: { shape: [labels], dtype: 'int32' },
    label_targets: { shape: [labels, classes], dtype: 'float32' },
    label_scales: { shape: [labels], dtype: 'float32' },
  }),
  feeds: ({ labelPositions, labelTargets }) => ({
    label_positions: labelPositions,
    label_targets: labelTargets,
  }),
  wanted: ({ labelTargets, labelWeights, labelCount }) =>
    labelTargets.subarray(0, labelCount * (labelTargets.length / labelWeights.length)),
  loss,
};

function loss(
  { model, runtime, hidden }: Forward,
  { label_targets: targets, label_scales: scales }: Inputs,
): Loss {
  const { architecture } = model;
  const logits = exactly(architecture.logits!(runtime, architecture.finalNorm(runtime, hidden))); // (K, C)
  const losses = tf.mean(binaryLosses(logits, targets), -1);
  const predictions = tf.cast(tf.greater(logits, 0), 'float32');
  const wrong = tf.sum(tf.abs(tf.sub(predictions, targets)), -1);
  const counted = tf.logicalAnd(tf.equal(wrong, 0), tf.greater(scales, 0));
  return { total: tf.sum(tf.mul(losses, scales)), correct: tf.sum(tf.cast(counted, 'float32')), predictions };
}

/** log(1 + eᶻ) − z · target for each element of `(K, C)`. */
function binaryLosses(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return customGradient({
    inputs: { logits },
    keep: { logits, targets },
    value: () => tf.sub(tf.softplus(logits), tf.mul(logits, targets)),
    gradient: (dy, { logits, targets }) => ({ logits: tf.mul(tf.sub(tf.sigmoid(logits), targets), dy) }),
  });
}

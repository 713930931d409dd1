import { tf } from '@graft/tf-graph';
import { headLoss, lossesOfLogits } from '../../../nn/cross-entropy.ts';
import type { Forward, Loss, ObjectiveLoss } from '../objective-loss.ts';
import { headSmoothing, smoothedTotal } from './label-smoothing.ts';

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

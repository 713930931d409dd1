import { type InputSpec, tf } from '@graft/tf-graph';
import type { GridShape } from '../../examples/index.ts';
import { headLoss, lossesOfLogits } from '../../nn/cross-entropy.ts';
import { headSmoothing, smoothedTotal } from './label-smoothing.ts';
import type { Forward, LabelsOf, Loss } from './loss.ts';

export function labelInputs({ labels }: GridShape): LabelsOf<InputSpec> {
  const perLabel = { shape: [labels], dtype: 'int32' } as const;
  return {
    label_positions: perLabel,
    label_ids: perLabel,
    label_scales: { shape: [labels], dtype: 'float32' },
  };
}

/** Cross entropy of the positions that carry a label: a token of the vocabulary, or a class. */
export function labelLoss(
  { model, parameters, training, runtime, hidden, smoothing }: Forward,
  { label_ids: labels, label_scales: scales }: LabelsOf<tf.Tensor>,
): Loss {
  const { architecture } = model;
  // The last block and the head, the widest layer, are reached by the positions alone that carry a label.
  const labelled = architecture.finalNorm(runtime, hidden);
  const counted = (correct: tf.Tensor) => tf.sum(tf.mul(correct, tf.cast(tf.greater(scales, 0), 'float32')));
  const { languageHead } = architecture;
  if (languageHead !== null && !model.wraps(languageHead)) {
    const head = model.weight(`${languageHead}.weight`, parameters)!;
    const { total, correct } = headLoss(labelled, head, labels, scales, training !== null);
    if (!smoothing) return { total, correct: counted(correct) };
    const smoothed = tf.add(total, headSmoothing(labelled, head, labels, scales, smoothing.factor));
    return { total: smoothed, correct: counted(correct) };
  }
  const logits = architecture.logits!(runtime, labelled);
  const { losses, correct } = lossesOfLogits(logits, labels);
  const total = smoothing
    ? smoothedTotal({ logits, losses, labels, scales }, smoothing)
    : tf.sum(tf.mul(losses, scales));
  const loss = { total, correct: counted(correct) };
  return languageHead === null ? { ...loss, predictions: tf.argMax(logits, -1) } : loss;
}

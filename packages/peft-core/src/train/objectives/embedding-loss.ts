import { type InputSpec, tf } from '@graft/tf-graph';
import type { GridShape } from '../../examples/index.ts';
import { lossesOfLogits } from '../../nn/cross-entropy.ts';
import { pool, similarities, unitRows } from '../../nn/pooling.ts';
import type { EmbeddingsOf, Forward, Loss } from './loss.ts';

/** Cosines are multiplied by this before the softmax: the inverse of a temperature of 0.05. */
const SCALE = 20;
const MASKED = -1e9;

/** `perToken` is of the positions, `(N)`. */
export function embeddingInputs({ labels }: GridShape, perToken: InputSpec): EmbeddingsOf<InputSpec> {
  const perExample = { shape: [labels], dtype: 'float32' } as const;
  return {
    pool_vectors: perToken,
    pool_weights: { ...perToken, dtype: 'float32' },
    label_scales: perExample,
    scores: perExample,
  };
}

/**
 * Cross entropy of an anchor's own positive among all positives and negatives of the batch.
 * Source: van den Oord et al. 2018, arXiv:1807.03748; sentence-transformers, MultipleNegativesRankingLoss.
 */
export function contrastiveLoss(forward: Forward, inputs: EmbeddingsOf<tf.Tensor>): Loss {
  const { labels: count } = forward.grid;
  const { anchors, others, pooled } = vectorsOf(forward, inputs);
  // A vector without a token belongs to no text: the batch is smaller, or an example has no negative.
  const present = tf.greater(pooled(tf.ones([forward.hidden.shape[0]!, 1])), 0.5);
  const mask = tf.mul(
    tf.sub(1, tf.cast(tf.slice(present, [count, 0], [others.shape[0]!, 1]), 'float32')),
    MASKED,
  );
  const scores = tf.add(tf.mul(similarities(anchors, others), SCALE), tf.reshape(mask, [1, -1])); // (count, others)
  const { losses, correct } = lossesOfLogits(scores, tf.range(0, count, 1, 'int32'));
  const scales = inputs.label_scales;
  const counted = tf.mul(correct, tf.cast(tf.greater(scales, 0), 'float32'));
  return { total: tf.sum(tf.mul(losses, scales)), correct: tf.sum(counted) };
}

/** The squared difference of a pair's cosine from its score (sentence-transformers, CosineSimilarityLoss). */
export function cosineLoss(forward: Forward, inputs: EmbeddingsOf<tf.Tensor>): Loss {
  const { anchors, others } = vectorsOf(forward, inputs);
  const cosines = tf.sum(tf.mul(anchors, others), -1);
  const losses = tf.square(tf.sub(cosines, inputs.scores));
  return {
    total: tf.sum(tf.mul(losses, inputs.label_scales)),
    correct: tf.scalar(0),
    predictions: cosines,
  };
}

/** Unit vectors of the anchors `(count, H)` and of the texts that they are compared with, and what pools a sequence's tokens. */
function vectorsOf({ model, grid, runtime, hidden }: Forward, inputs: EmbeddingsOf<tf.Tensor>) {
  const { labels: count, sequences } = grid;
  const normed = model.architecture.finalNorm(runtime, hidden);
  const pooled = (x: tf.Tensor) => pool(x, inputs.pool_vectors, inputs.pool_weights, sequences * count);
  const units = unitRows(pooled(normed)); // anchors, then positives, then negatives
  const width = units.shape[1]!;
  const anchors = tf.slice(units, [0, 0], [count, width]);
  const others = tf.slice(units, [count, 0], [(sequences - 1) * count, width]);
  return { anchors, others, pooled };
}

import { tf } from '@graft/tf-graph';
import {
  type EmbeddingFields,
  embeddingFeeds,
  embeddingInputs,
  embeddings,
} from '../embeddings/embeddings.ts';
import type { Forward, Loss, ObjectiveLoss } from '../objective-loss.ts';

/** Squared difference between a pair's cosine and its score (sentence-transformers, CosineSimilarityLoss). */
export const cosineLoss: ObjectiveLoss<keyof EmbeddingFields<unknown>> = {
  inputs: embeddingInputs,
  feeds: embeddingFeeds,
  wanted: ({ scores, labelCount }) => scores.subarray(0, labelCount),
  loss,
};

function loss(forward: Forward, inputs: EmbeddingFields<tf.Tensor>): Loss {
  const { labels: count } = forward.grid;
  const units = embeddings(forward, inputs);
  const width = units.shape[1]!;
  const anchors = tf.slice(units, [0, 0], [count, width]);
  const cosines = tf.sum(tf.mul(anchors, tf.slice(units, [count, 0], [count, width])), -1);
  const losses = tf.square(tf.sub(cosines, inputs.scores));
  return { total: tf.sum(tf.mul(losses, inputs.label_scales)), correct: tf.scalar(0), predictions: cosines };
}

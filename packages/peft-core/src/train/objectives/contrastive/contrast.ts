import { tf } from '@graft/tf-graph';
import { lossesOfLogits } from '../../../nn/cross-entropy.ts';
import { similarities } from '../../../nn/pooling.ts';
import type { EmbeddingFields } from '../embeddings/embeddings.ts';
import type { Loss } from '../objective-loss.ts';

/** Factor of the cosines before the softmax: the inverse of a temperature of 0.05. */
export const CONTRAST_SCALE = 20;
const MASKED = -1e9;

/**
 * Cross entropy of an anchor's own positive among all positives and negatives of the batch. A text is not used as a negative of an
 * anchor if it equals the anchor or its positive, or if it is the positive of a pair whose anchor or positive equals one of these two.
 * Source: van den Oord et al. 2018, arXiv:1807.03748; sentence-transformers, MultipleNegativesRankingLoss; for the excluded texts
 * its NoDuplicatesBatchSampler, which keeps such pairs out of a batch.
 *
 * `units` as `embeddings` returns them, `count` of each kind; `texts` `(sequences · count)` int32: the number of each text, −1 for
 * none; `label_scales` `(count)`.
 */
export function contrast(
  units: tf.Tensor,
  { texts, label_scales: scales }: Pick<EmbeddingFields<tf.Tensor>, 'texts' | 'label_scales'>,
): Loss {
  const count = scales.shape[0]!;
  const [all, width] = units.shape as [number, number];
  const others = tf.slice(units, [count, 0], [all - count, width]);
  const cosines = similarities(tf.slice(units, [0, 0], [count, width]), others); // (count, others)
  const scores = tf.add(tf.mul(cosines, CONTRAST_SCALE), tf.mul(noNegatives(texts, count), MASKED));
  const { losses, correct } = lossesOfLogits(scores, tf.range(0, count, 1, 'int32'));
  const counted = tf.mul(correct, tf.cast(tf.greater(scales, 0), 'float32'));
  return { total: tf.sum(tf.mul(losses, scales)), correct: tf.sum(counted) };
}

/** `(count, others)`: greater than 0 where a text is neither a negative of the anchor nor its own positive. */
function noNegatives(texts: tf.Tensor, count: number): tf.Tensor {
  const others = texts.shape[0]! - count;
  // Compared as float32, exact for fewer than 2²⁴ texts: TensorFlow's GPU kernels compare integers on the host.
  const all = tf.cast(texts, 'float32');
  const part = (from: number, length: number) => tf.slice(all, [from], [length]);
  const [anchors, positives, candidates] = [part(0, count), part(count, count), part(count, others)];
  const column = (x: tf.Tensor) => tf.reshape(x, [-1, 1]);
  const row = (x: tf.Tensor) => tf.reshape(x, [1, -1]);
  const among = (own: tf.Tensor, theirs: tf.Tensor) => tf.cast(tf.equal(column(own), row(theirs)), 'float32');
  const same = tf.add(among(anchors, candidates), among(positives, candidates));
  const related = tf.add(among(anchors, anchors), among(positives, anchors)); // (count, count), of positives
  const more = others - count;
  const relatedPairs = more > 0 ? tf.concat([related, tf.zeros([count, more])], 1) : related;
  const numbers = (length: number) => tf.range(0, length, 1, 'float32');
  const isOther = tf.sub(1, among(numbers(count), numbers(others)));
  const absent = tf.cast(tf.less(row(candidates), 0), 'float32');
  return tf.add(tf.mul(tf.add(same, relatedPairs), isOther), absent);
}

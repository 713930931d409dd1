import { tf } from '@graft/tf-graph';

/**
 * Softmax over the last axis of masked scores `(…, n, m)` and, if there are `sinks`, one more score for each row, which takes its share and
 * has no key: then the probabilities of keys sum up to less than 1. `sinks` has the rank of the scores, with 1 for m. `sink` `(…, n, 1)`:
 * the share of each row's sink. Source: Xiao et al. 2024, arXiv:2309.17453.
 */
export function softmaxWithSinks(
  scores: tf.Tensor,
  sinks: tf.Tensor | undefined,
): { keys: tf.Tensor; sink?: tf.Tensor } {
  if (!sinks) return { keys: tf.softmax(scores, -1) };
  const column = tf.add(tf.zeros([...scores.shape.slice(0, -1), 1]), sinks);
  const [keys, sink] = tf.split(
    tf.softmax(tf.concat([scores, column], -1), -1),
    [scores.shape.at(-1)!, 1],
    -1,
  );
  return { keys: keys!, sink: sink! };
}

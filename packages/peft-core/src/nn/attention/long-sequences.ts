import { tf } from '@graft/tf-graph';

export interface Places {
  rows: number;
  tokens: number;
  /** `(N)` int32. */
  positions: tf.Tensor;
  /** `(N)` int32: numbers of sequences within each row; no sequence shares a beginning. */
  segments?: tf.Tensor;
  /** `(N)` int32: the number of positions of each token's sequence; absent: it is derived from `segments`. */
  reached?: tf.Tensor;
  /** Number of positions before those of every sequence. */
  prefix?: number;
}

const number = (x: tf.Tensor) => tf.cast(x, 'float32');
const column = (x: tf.Tensor) => tf.reshape(number(x), [-1, 1]);

/**
 * `(N, 1)` float32: 1 for the tokens of sequences of more than `over` positions, 0 for others. Null if no sequence of the run can be so
 * long. Each sequence is judged by its own length, whatever else is in the batch.
 */
export function longSequences(places: Places, over: number): tf.Tensor | null {
  const { rows, tokens, positions, segments, reached, prefix = 0 } = places;
  if (reached) return column(tf.greater(number(reached), over));
  if (!segments || prefix + tokens <= over) return null;
  // In float32, exact below 2²⁴: TensorFlow computes with integers on the host even when a GPU is present.
  const place = tf.sub(tf.cumsum(tf.onesLike(number(positions))), 1);
  const row = rows === 1 ? tf.zerosLike(place) : tf.floor(tf.div(place, tokens));
  const sequence = tf.add(number(segments), tf.mul(row, tokens + 1));
  // The place of position `over` of the same sequence, if the sequence has that position.
  const wanted = tf.sub(tf.add(place, over), number(positions));
  const last = tf.max(place);
  const there = tf.minimum(tf.maximum(wanted, 0), last);
  const same = tf.equal(tf.gather(sequence, tf.cast(there, 'int32')), sequence);
  const has = tf.logicalAnd(same, tf.lessEqual(wanted, last));
  return column(tf.logicalOr(has, tf.greaterEqual(number(positions), over)));
}

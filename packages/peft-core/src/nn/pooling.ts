import { customGradient, tf } from '@graft/tf-graph';
import { withComputation } from './computation.ts';
import { matmul } from './matmul.ts';

/** Computes in float32 always: bfloat16 is too coarse for sums over many tokens and for differences of cosines. */
const exact = (a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean) =>
  withComputation({ precision: 'fp32' }, () => matmul(a, b, transposeA, transposeB));

/**
 * Vectors `(count, H)` of sequences: weighted sums of their tokens' hidden states `(N, H)`. `vectors` `(N)` int32 is the
 * vector that each token belongs to, `count` for none; `weights` `(N)` is the token's weight in the sum. Computed as a matrix product,
 * because a GPU adds scattered rows in a different order each time.
 */
export function pool(hidden: tf.Tensor, vectors: tf.Tensor, weights: tf.Tensor, count: number): tf.Tensor {
  const shares = (vectors: tf.Tensor, weights: tf.Tensor) => {
    // In float32, because TensorFlow compares integers on the host even when a GPU is present.
    const numbers = tf.reshape(tf.range(0, count, 1, 'float32'), [count, 1]);
    const own = tf.equal(numbers, tf.expandDims(tf.cast(vectors, 'float32'), 0));
    return tf.mul(tf.cast(own, 'float32'), weights); // (count, N)
  };
  return customGradient({
    inputs: { hidden },
    keep: { vectors, weights },
    value: () => exact(shares(vectors, weights), hidden, false, false),
    gradient: (dy, { vectors, weights }) => ({ hidden: exact(shares(vectors, weights), dy, true, false) }),
  });
}

/** Divides the rows of x `(S, H)` by their length; a row of zeros stays zero. */
export function unitRows(x: tf.Tensor): tf.Tensor {
  return tf.mul(x, tf.rsqrt(tf.add(tf.sum(tf.square(x), -1, true), 1e-24)));
}

/** The products of every row of a `(A, H)` with every row of b `(B, H)`: `(A, B)`. */
export function similarities(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return customGradient({
    inputs: { a, b },
    keep: { a, b },
    value: () => exact(a, b, false, true),
    gradient: (dy, { a, b }) => ({ a: exact(dy, b, false, false), b: exact(dy, a, true, false) }),
  });
}

import { hang, tf } from '@graft/tf-graph';
import { matmul } from './matmul.ts';

/** Added to a score where attention is not allowed; large, yet finite so that an all-masked row stays a number. */
const MASKED = -1e9;

/**
 * Who may attend to whom in packed rows, as an additive mask `(rows, 1, T, T)`: the same segment, and not later.
 * segments `(rows · T)` int32; 0 is padding, which sees only padding.
 */
export function packedCausalMask(segments: tf.Tensor, rows: number, tokens: number): tf.Tensor {
  const own = tf.reshape(segments, [rows, tokens, 1]);
  const other = tf.reshape(segments, [rows, 1, tokens]);
  const index = tf.range(0, tokens, 1, 'int32');
  const notLater = tf.lessEqual(tf.reshape(index, [1, 1, tokens]), tf.reshape(index, [1, tokens, 1]));
  return additiveMask(tf.logicalAnd(tf.equal(own, other), notLater), [rows, 1, tokens, tokens]);
}

/** Additive mask `(1, 1, n, window)` for n new tokens at `start` (scalar int32) over a cache of `window` positions. */
export function cachedCausalMask(start: tf.Tensor, n: number, window: number): tf.Tensor {
  const query = tf.add(tf.reshape(tf.range(0, n, 1, 'int32'), [n, 1]), start);
  const key = tf.reshape(tf.range(0, window, 1, 'int32'), [1, window]);
  return additiveMask(tf.lessEqual(key, query), [1, 1, n, window]);
}

function additiveMask(allowed: tf.Tensor, shape: number[]): tf.Tensor {
  return tf.reshape(tf.mul(tf.sub(tf.cast(allowed, 'float32'), 1), -MASKED), shape);
}

/**
 * Softmax attention with grouped queries. q `(B, heads, n, D)` already scaled by 1/√D, k and v `(B, kvHeads, T, D)`,
 * mask additive, `(B or 1, 1, n, T)`. Returns `(B, heads, n, D)`.
 * Keeps q, k and v only: the probabilities are the largest tensors of a block and are recomputed for the backward pass.
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, mask: tf.Tensor): tf.Tensor {
  const [batch, heads, n, width] = q.shape as [number, number, number, number];
  const [kvHeads, tokens] = [k.shape[1]!, k.shape[2]!];
  // Query heads that share a key head are stacked along the rows: no copy of k or v for each of them.
  const grouped = [batch * kvHeads, (heads / kvHeads) * n, width];
  const flatKeys = [batch * kvHeads, tokens, width];
  const probabilities = (q: tf.Tensor, k: tf.Tensor, mask: tf.Tensor) => {
    const scores = tf.reshape(matmul(q, k, false, true), [batch, heads, n, tokens]);
    return tf.reshape(tf.softmax(tf.add(scores, mask), -1), [batch * kvHeads, (heads / kvHeads) * n, tokens]);
  };
  const attend = tf.customGrad((a, b, c, save) => {
    const [q, k, v] = [a as tf.Tensor, b as tf.Tensor, c as tf.Tensor];
    (save as tf.GradSaveFunc)([q, k, v, mask]);
    return {
      value: matmul(probabilities(q, k, mask), v),
      gradFunc: (dy, [savedQ, k, v, mask]) => {
        const q = hang(savedQ!, dy as tf.Tensor);
        const p = probabilities(q, k!, mask!);
        const dp = tf.mul(p, matmul(dy as tf.Tensor, v!, false, true));
        const ds = tf.sub(dp, tf.mul(p, tf.sum(dp, -1, true)));
        return [matmul(ds, k!), matmul(ds, q, true), matmul(p, dy as tf.Tensor, true)];
      },
    };
  });
  const result = attend(tf.reshape(q, grouped), tf.reshape(k, flatKeys), tf.reshape(v, flatKeys));
  return tf.reshape(result, [batch, heads, n, width]);
}

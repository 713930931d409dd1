import { tf } from '@graft/tf-graph';

/**
 * The states between chunks: `S₀ = first`, `Sᵢ₊₁ = mᵢ Sᵢ + nᵢ`. m `(B, t, K, K)`, n `(B, t, K, V)`, first `(B, 1, K, V)`; returns
 * `(B, t + 1, K, V)`. With `times` tf.mul, m `(B, t, 1, V)` are factors of the columns. Combines neighbouring steps and recurses on half as
 * many, so that the graph grows with log t: of 128 chunks, seven levels of about twenty operations. Source: Blelloch 1990, Prefix sums and their applications.
 */
export function chunkStates(
  m: tf.Tensor,
  n: tf.Tensor,
  first: tf.Tensor,
  times: (m: tf.Tensor, x: tf.Tensor) => tf.Tensor = (m, x) => tf.matMul(m, x),
): tf.Tensor {
  const [batch, steps, K, V] = n.shape as [number, number, number, number];
  if (steps === 0) return first;
  if (steps % 2 === 1) {
    const states = chunkStates(part(m, 0, steps - 1), part(n, 0, steps - 1), first, times);
    const last = part(states, steps - 1, 1);
    const next = tf.add(times(part(m, steps - 1, 1), last), part(n, steps - 1, 1));
    return tf.concat([states, next], 1);
  }
  const half = steps / 2;
  const pairs = (x: tf.Tensor) => {
    const [rows, width] = x.shape.slice(2) as [number, number];
    const both = tf.reshape(x, [batch * half, 2, rows * width]);
    return tf.split(both, 2, 1).map((one) => tf.reshape(one, [batch, half, rows, width]));
  };
  const [m0, m1] = pairs(m) as [tf.Tensor, tf.Tensor];
  const [n0, n1] = pairs(n) as [tf.Tensor, tf.Tensor];
  const even = chunkStates(times(m1, m0), tf.add(times(m1, n0), n1), first, times); // (B, half + 1, K, V)
  const before = part(even, 0, half);
  const odd = tf.add(times(m0, before), n0);
  const alternating = tf.concat([tf.expandDims(before, 2), tf.expandDims(odd, 2)], 2);
  return tf.concat([tf.reshape(alternating, [batch, steps, K, V]), part(even, half, 1)], 1);
}

/** `count` of the steps of x `(B, t, …)`, from `from` on. */
function part(x: tf.Tensor, from: number, count: number): tf.Tensor {
  if (count === x.shape[1]) return x;
  return tf.slice(x, [0, from, 0, 0], [x.shape[0]!, count, x.shape[2]!, x.shape[3]!]);
}

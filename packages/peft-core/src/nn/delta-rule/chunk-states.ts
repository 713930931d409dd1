import { tf } from '@graft/tf-graph';

/**
 * The states between chunks: `S₀ = first`, `Sᵢ₊₁ = mᵢ Sᵢ + nᵢ`. m `(B, t, K, K)`, n `(B, t, K, V)`, first `(B, 1, K, V)`; returns
 * `(B, t + 1, K, V)`. Combines neighbouring steps and recurses on half as many, so that the graph grows with log t: of 128 chunks, seven
 * levels of about twenty operations. Source: Blelloch 1990, Prefix sums and their applications.
 */
export function chunkStates(m: tf.Tensor, n: tf.Tensor, first: tf.Tensor): tf.Tensor {
  const [batch, steps, K] = m.shape as [number, number, number];
  const V = n.shape[3]!;
  if (steps === 0) return first;
  if (steps % 2 === 1) {
    const states = chunkStates(part(m, 0, steps - 1), part(n, 0, steps - 1), first);
    const last = part(states, steps - 1, 1);
    const next = tf.add(tf.matMul(part(m, steps - 1, 1), last), part(n, steps - 1, 1));
    return tf.concat([states, next], 1);
  }
  const half = steps / 2;
  const pairs = (x: tf.Tensor, width: number) => {
    const both = tf.reshape(x, [batch * half, 2, K * width]);
    return tf.split(both, 2, 1).map((one) => tf.reshape(one, [batch, half, K, width]));
  };
  const [m0, m1] = pairs(m, K) as [tf.Tensor, tf.Tensor];
  const [n0, n1] = pairs(n, V) as [tf.Tensor, tf.Tensor];
  const even = chunkStates(tf.matMul(m1, m0), tf.add(tf.matMul(m1, n0), n1), first); // (B, half + 1, K, V)
  const before = part(even, 0, half);
  const odd = tf.add(tf.matMul(m0, before), n0);
  const alternating = tf.concat([tf.expandDims(before, 2), tf.expandDims(odd, 2)], 2);
  return tf.concat([tf.reshape(alternating, [batch, steps, K, V]), part(even, half, 1)], 1);
}

/** `count` of the steps of x `(B, t, …)`, from `from` on. */
function part(x: tf.Tensor, from: number, count: number): tf.Tensor {
  if (count === x.shape[1]) return x;
  return tf.slice(x, [0, from, 0, 0], [x.shape[0]!, count, x.shape[2]!, x.shape[3]!]);
}

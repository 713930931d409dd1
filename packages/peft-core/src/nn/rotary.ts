import { customGradient, tf } from '@graft/tf-graph';

/** Cosine and sine of every position's angles, `(N, 1, D)` each, ready for `rotate`. */
export interface RotaryTable {
  cos: tf.Tensor;
  /** Already signed for HF's "rotate half": the first half of the last axis is negated. */
  sin: tf.Tensor;
}

/**
 * Angles `position · inverseFrequency` for positions `(N)` int32 and D/2 frequencies.
 * `scale` multiplies both tables: the query's 1/√D costs nothing there.
 */
export function rotaryTable(positions: tf.Tensor, inverseFrequencies: number[], scale = 1): RotaryTable {
  const half = inverseFrequencies.length;
  const column = tf.reshape(tf.cast(positions, 'float32'), [positions.shape[0]!, 1, 1]);
  const angles = tf.mul(column, tf.reshape(tf.tensor1d(inverseFrequencies), [1, 1, half]));
  const cos = tf.mul(tf.cos(angles), scale);
  const sin = tf.mul(tf.sin(angles), scale);
  return { cos: tf.concat([cos, cos], -1), sin: tf.concat([tf.neg(sin), sin], -1) };
}

/** Rotary position embedding of x `(N, heads, D)`, HF's half-split layout. Source: Su et al. 2021, arXiv:2104.09864. */
export function rotate(x: tf.Tensor, { cos, sin }: RotaryTable): tf.Tensor {
  const swapHalves = (x: tf.Tensor) => {
    const [a, b] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
    return tf.concat([b, a], -1);
  };
  // The inverse of a rotation is the rotation by the opposite angle, and the scale stays.
  return customGradient({
    inputs: { x },
    keep: { cos, sin },
    value: () => tf.add(tf.mul(x, cos), tf.mul(swapHalves(x), sin)),
    gradient: (dy, { cos, sin }) => ({ x: tf.sub(tf.mul(dy, cos), tf.mul(swapHalves(dy), sin)) }),
  });
}

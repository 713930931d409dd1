import { cast, customGradient, storageOf, tf } from '@graft/tf-graph';
import { computesRowByRow, exactly, usesKernels } from '../computation.ts';

/**
 * Cosines and sines `(N, R/2)` of each position's angles, both multiplied by the same factor, if there is one. The first R numbers of
 * each head are rotated.
 */
export interface Rotation {
  cosines: tf.Tensor;
  sines: tf.Tensor;
}

/** Maximum number of floats in one SIMD step of TensorFlow. A remainder is computed by other code, whose last bits differ. */
const LANES = 16;

/**
 * Angles `position · inverseFrequency` for positions `(N)` int32 and R/2 frequencies. `factor` multiplies cosines and sines. Source:
 * Su et al. 2021, arXiv:2104.09864.
 */
export function rotationOf(positions: tf.Tensor, inverseFrequencies: number[], factor = 1): Rotation {
  const count = inverseFrequencies.length;
  const width = computesRowByRow() ? Math.ceil(count / LANES) * LANES : count;
  const frequencies = [...inverseFrequencies, ...Array<number>(width - count).fill(0)];
  const column = tf.reshape(tf.cast(positions, 'float32'), [-1, 1]);
  const angles = tf.mul(column, tf.reshape(tf.tensor1d(frequencies), [1, width]));
  const own = (x: tf.Tensor) => {
    const cut = width === count ? x : tf.slice(x, [0, 0], [-1, count]);
    return factor === 1 ? cut : tf.mul(cut, factor);
  };
  return { cosines: own(tf.cos(angles)), sines: own(tf.sin(angles)) };
}

/** Cosine and sine for each rotated number of a head, `(N, 1, R)` each, as `rotate` takes them. */
export interface RotaryTable {
  cos: tf.Tensor;
  /** Signed for HF's "rotate half": the first half of the last axis is negated. */
  sin: tf.Tensor;
  /** Factor that is part of both, and of the numbers that are not rotated. */
  scale: number;
}

/** Returns the tables of a rotation. `scale` multiplies both, so that scaling the queries by 1/√D costs nothing extra. */
export function rotaryTable({ cosines, sines }: Rotation, scale = 1): RotaryTable {
  const cos = tf.expandDims(tf.mul(cosines, scale), 1);
  const sin = tf.expandDims(tf.mul(sines, scale), 1);
  return { cos: tf.concat([cos, cos], -1), sin: tf.concat([tf.neg(sin), sin], -1), scale };
}

/** Rotary position embedding of the first R numbers of each head of x `(N, heads, D)` in HF's half-split layout. */
export function rotate(x: tf.Tensor, { cos, sin, scale }: RotaryTable): tf.Tensor {
  const [whole, rotated] = [x.shape.at(-1)!, cos.shape.at(-1)!];
  const swapHalves = (x: tf.Tensor) => {
    const [a, b] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
    return tf.concat([b, a], -1);
  };
  // With kernels, the result stays in float32, like the stock attention operations in the same graph.
  const stored = usesKernels() ? 'float32' : storageOf(x);
  const turned = (x: tf.Tensor, { cos, sin }: Pick<RotaryTable, 'cos' | 'sin'>, sum: typeof tf.add) => {
    const exact = exactly(x);
    if (rotated === whole) return cast(sum(tf.mul(exact, cos), tf.mul(swapHalves(exact), sin)), stored);
    const [first, rest] = tf.split(exact, [rotated, whole - rotated], -1) as [tf.Tensor, tf.Tensor];
    const own = sum(tf.mul(first, cos), tf.mul(swapHalves(first), sin));
    return cast(tf.concat([own, scale === 1 ? rest : tf.mul(rest, scale)], -1), stored);
  };
  // The inverse of a rotation is the rotation by the opposite angle; the scale is the same.
  return customGradient({
    inputs: { x },
    keep: { cos, sin },
    value: () => turned(x, { cos, sin }, tf.add),
    gradient: (dy, table) => ({ x: turned(dy, table, tf.sub) }),
  });
}

import { customGradient, rawOp, tf } from '@graft/tf-graph';
import { flowing } from '../../nn/computation.ts';
import { matmul } from '../../nn/matmul.ts';
import { originOf, restore } from '../../nn/recompute.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { constant, drawn } from '../attach/start-values.ts';
import { matrixTuner } from '../matrices/attachment.ts';
import type { MatrixTarget } from '../matrices/targets.ts';
import type { LayerContext, Merge } from '../tuner.ts';
import { type OftConfig, oftMethod, rotationOf } from './method.ts';

/**
 * Orthogonal fine-tuning. Options, names and start values follow peft's OFTConfig.
 * A linear module gets its input x turned, `base(x R)`; an embedding its output, `base(ids) R`. R has blocks of rotations on its diagonal.
 * Source: Qiu et al. 2023, arXiv:2306.07280; peft, tuners/oft/layer.py.
 */
export const oftTuner = matrixTuner(oftMethod, (target, config) => {
  const { name, shape, size } = rotationOf(target, config);
  const length = elementCount(shape);
  const blocks = ({ parameter }: LayerContext) => rotations(parameter(name), size, config);
  return {
    parameters: [
      {
        name,
        shape,
        init: config.init_weights ? constant(length, 0) : drawn(length, (random) => 0.1 * random.normal()),
      },
    ],
    ...(target.kind === 'embedding'
      ? { embedding: (context, ids, base) => rotatedBlocks(base(ids), blocks(context)) }
      : { linear: (context, x, base) => base(rotatedBlocks(x, blocks(context))) }),
    merge: turned(target, config),
  };
});

/** `W Rᵀ` of a linear module's `(out, in)`, `W R` of an embedding's `(V, H)`: each row's blocks are turned. */
function turned(target: MatrixTarget, config: OftConfig): Merge {
  const { name, size, blocks } = rotationOf(target, config);
  return (weight, adapter) => {
    const matrices = rotationsOf(adapter(name), size, config);
    const isEmbedding = target.kind === 'embedding';
    const merged = new Float32Array(weight.length);
    for (let start = 0; start < weight.length; start += size) {
      const r = matrices[config.block_share ? 0 : (start / size) % blocks]!;
      for (let k = 0; k < size; k++) {
        let sum = 0;
        for (let c = 0; c < size; c++)
          sum += (isEmbedding ? r[c * size + k]! : r[k * size + c]!) * weight[start + c]!;
        merged[start + k] = sum;
      }
    }
    return merged;
  };
}

type Series = Pick<OftConfig, 'use_cayley_neumann' | 'num_cayley_neumann_terms'>;

/**
 * The rotations `(n, b, b)` of trained triangles `(n, b (b − 1) / 2)`: of the skew-symmetric Q, `(1 − Q)(1 + Q)⁻¹`, or by a series the first
 * terms of `(1 + Q)(1 − Q)⁻¹`. The signs differ in HF PEFT, too. Source: peft, tuners/oft/layer.py (_cayley_batch).
 */
export function rotations(triangles: tf.Tensor, size: number, series: Series): tf.Tensor {
  const one = tf.eye(size);
  const q = skewSymmetric(triangles, size);
  if (!series.use_cayley_neumann) return tf.sub(tf.mul(inverse(tf.add(q, one)), 2), one);
  let sum: tf.Tensor = tf.tile(tf.expandDims(one, 0), [triangles.shape[0]!, 1, 1]);
  let power = q;
  for (const [i, factor] of factorsOf(series).entries()) {
    if (i > 0) power = tf.matMul(power, q);
    sum = tf.add(sum, tf.mul(power, factor));
  }
  return sum;
}

/** The factors of Q, Q², …: twos, and a last one, from three terms on. With four terms there are as many as with three. */
function factorsOf({ num_cayley_neumann_terms: terms }: Series): number[] {
  if (terms <= 2) return terms === 2 ? [2] : [];
  const twos = Math.max(2, terms - 2);
  return [...Array<number>(twos).fill(2), 1];
}

/** `rotations`, computed in float64, row after row. */
export function rotationsOf(triangles: Float32Array, size: number, series: Series): Float64Array[] {
  const length = (size * (size - 1)) / 2;
  return Array.from({ length: Math.max(1, triangles.length / (length || 1)) }, (_, n) => {
    const q = new Float64Array(size * size);
    let next = n * length;
    for (let row = 0; row < size; row++)
      for (let column = row + 1; column < size; column++) {
        q[row * size + column] = triangles[next]!;
        q[column * size + row] = -triangles[next++]!;
      }
    return series.use_cayley_neumann ? bySeries(q, size, factorsOf(series)) : exactly(q, size);
  });
}

function bySeries(q: Float64Array, size: number, factors: number[]): Float64Array {
  const sum = identity(size);
  let power = q;
  for (const [i, factor] of factors.entries()) {
    if (i > 0) power = product(power, q, size);
    for (let k = 0; k < sum.length; k++) sum[k]! += factor * power[k]!;
  }
  return sum;
}

/** `2 (1 + Q)⁻¹ − 1`, by Gauss and Jordan. Without pivots: the symmetric part of 1 + Q is 1, so no pivot is below 1. */
function exactly(q: Float64Array, size: number): Float64Array {
  const left = q.slice();
  const right = identity(size);
  for (let i = 0; i < size; i++) left[i * size + i]! += 1;
  for (let pivot = 0; pivot < size; pivot++) {
    const by = 1 / left[pivot * size + pivot]!;
    for (const matrix of [left, right]) for (let k = 0; k < size; k++) matrix[pivot * size + k]! *= by;
    for (let row = 0; row < size; row++) {
      const factor = left[row * size + pivot]!;
      if (row === pivot || factor === 0) continue;
      for (const matrix of [left, right])
        for (let k = 0; k < size; k++) matrix[row * size + k]! -= factor * matrix[pivot * size + k]!;
    }
  }
  const one = identity(size);
  return right.map((value, k) => 2 * value - one[k]!);
}

function identity(size: number): Float64Array {
  const one = new Float64Array(size * size);
  for (let i = 0; i < size; i++) one[i * size + i] = 1;
  return one;
}

function product(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const c = new Float64Array(size * size);
  for (let row = 0; row < size; row++)
    for (let k = 0; k < size; k++) {
      const factor = a[row * size + k]!;
      for (let column = 0; column < size; column++) c[row * size + column]! += factor * b[k * size + column]!;
    }
  return c;
}

/** x `(N, W)` with each block of b columns times its matrix of `blocks` `(W / b, b, b)`, or of `(1, b, b)` for all blocks. */
export function rotatedBlocks(x: tf.Tensor, blocks: tf.Tensor): tf.Tensor {
  const [count, size] = blocks.shape as [number, number];
  const origin = originOf(x);
  return customGradient({
    inputs: { x, blocks },
    keep: { blocks, origin: origin.inputs },
    value: () => flowing(joined(matmul(separate(x, count, size), blocks))),
    gradient(dy, kept) {
      const dParts = separate(dy, count, size);
      const dx = joined(matmul(dParts, kept.blocks, false, true));
      const parts = separate(restore(origin, kept.origin, dx), count, size);
      return { x: flowing(dx), blocks: matmul(parts, dParts, true) };
    },
  });

  /** `(count, rows, b)`: all columns of one matrix. A single matrix needs no transposition. */
  function separate(x: tf.Tensor, count: number, size: number): tf.Tensor {
    if (count === 1) return tf.reshape(x, [1, -1, size]);
    return tf.transpose(tf.reshape(x, [-1, count, size]), [1, 0, 2]);
  }

  function joined(parts: tf.Tensor): tf.Tensor {
    return tf.reshape(count === 1 ? parts : tf.transpose(parts, [1, 0, 2]), [-1, x.shape[1]!]);
  }
}

/** The skew-symmetric matrices `(n, b, b)` whose upper triangles, row after row, are `triangles` `(n, b (b − 1) / 2)`. */
export function skewSymmetric(triangles: tf.Tensor, size: number): tf.Tensor {
  const count = triangles.shape[0]!;
  const { upper, lower, places, signs } = triangleIndices(size);
  return customGradient({
    inputs: { triangles },
    keep: {},
    value() {
      const values = tf.gather(triangles, tf.tensor1d(places, 'int32'), 1);
      return tf.reshape(tf.mul(values, tf.tensor1d(signs)), [count, size, size]);
    },
    gradient(dy) {
      const all = tf.reshape(dy, [count, size * size]);
      const at = (indices: Int32Array) => tf.gather(all, tf.tensor1d(indices, 'int32'), 1);
      return { triangles: tf.sub(at(upper), at(lower)) };
    },
  });
}

/** Where elements of the upper triangle are in a matrix and its transpose; for each element of a matrix, its place and sign. */
function triangleIndices(size: number) {
  const count = (size * (size - 1)) / 2;
  const [upper, lower] = [new Int32Array(count), new Int32Array(count)];
  const [places, signs] = [new Int32Array(size * size), new Float32Array(size * size)];
  let next = 0;
  for (let row = 0; row < size; row++)
    for (let column = row + 1; column < size; column++) {
      const [above, below] = [row * size + column, column * size + row];
      upper[next] = above;
      lower[next] = below;
      places[above] = places[below] = next++;
      signs[above] = 1;
      signs[below] = -1;
    }
  return { upper, lower, places, signs };
}

/** The inverses of matrices `(n, b, b)`. */
export function inverse(matrices: tf.Tensor): tf.Tensor {
  const value = rawOp('MatrixInverse', [], [matrices])[0]!;
  return customGradient({
    inputs: { matrices },
    keep: { value },
    value: () => value,
    gradient(dy, { value }) {
      const left = tf.matMul(value, dy, true, false);
      return { matrices: tf.neg(tf.matMul(left, value, false, true)) };
    },
  });
}

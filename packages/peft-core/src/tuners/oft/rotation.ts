import { tf } from '@graft/tf-graph';
import { inverse, skewSymmetric } from './block-rotation.ts';
import type { OftConfig } from './method.ts';

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

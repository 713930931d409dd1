// Sequences for tests of recurrent layers.
import { tf } from '@graft/tf-graph';
import { distance } from './against-stock.ts';

export const off = (got: tf.Tensor, expected: number[]): number =>
  distance(got.dataSync() as Float32Array, Float32Array.from(expected));

/** Gradients of an output y `(tokens, …)`, as in the scripts that make the expected numbers. */
export const weightsOf = (y: number[], tokens: number): tf.Tensor =>
  tf.tensor(
    y.map((_, i) => Math.cos(1 + 1.7 * i)),
    [tokens, y.length / tokens],
  );

export const allUsed = (count: number): tf.Tensor => tf.ones([count], 'int32');

/** The numbers of packed sequences of these lengths, position by position. */
export const segmentsOf = (lengths: number[]): tf.Tensor =>
  tf.keep(
    tf.tensor1d(
      lengths.flatMap((length, i) => Array<number>(length).fill(i + 1)),
      'int32',
    ),
  );

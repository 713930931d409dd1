import { attr, rawOp, tf } from '@graft/tf-graph';
import { takeRows } from './rows.ts';
import { type TableWithTrainedRows, type Weight, weightShape } from './weight.ts';

/**
 * Rows of an embedding table `(V, H)` for ids `(N)` int32, `(N, H)`. A frozen table is gathered in its stored form; of a trained
 * one, row `padding` gets no gradient from here.
 */
export function embedding(ids: tf.Tensor, weight: Weight, padding: number | null = null): tf.Tensor {
  switch (weight.kind) {
    case 'frozen':
      return weight.gather(ids);
    case 'trained':
      return takeRows(weight.tensor, ids, padding);
    case 'rows':
      return partlyTrained(ids, weight, padding);
  }
}

/** Gathers from the frozen table and from the trained rows, and takes each id's row from one of them. So no gradient is as large as the table. */
function partlyTrained(ids: tf.Tensor, table: TableWithTrainedRows, padding: number | null): tf.Tensor {
  // For each id of the table the number of its trained row counted from 1; 0 without one. As float32: what is done with integers is
  // done on the host by a GPU's kernels.
  const numbers = new Float32Array(weightShape(table)[0]!);
  for (const [i, id] of table.ids.entries()) numbers[id] = i + 1;
  const number = tf.gather(tf.tensor1d(numbers), ids); // (N)
  const trained = tf.expandDims(tf.cast(tf.greater(number, 0), 'float32'), -1); // (N, 1)
  const row = tf.cast(tf.maximum(tf.sub(number, 1), 0), 'int32');
  const padded = padding === null ? -1 : table.ids.indexOf(padding);
  return tf.add(
    tf.mul(table.base.gather(ids), tf.sub(1, trained)),
    tf.mul(takeRows(table.rows, row, padded < 0 ? null : padded), trained),
  );
}

/** ids `(N)` int32, each more by `by`. As float32, exact below 2²⁴: a GPU's kernels add integers on the host. */
export const shiftedIds = (ids: tf.Tensor, by: number): tf.Tensor =>
  tf.cast(tf.add(tf.cast(ids, 'float32'), by), 'int32');

/**
 * x `(N, H)` with noise that is even between ± its row's scale, `(N)`: another draw for each seed `(2)` int32. The gradient passes as it is.
 * Source: Jain et al. 2023, arXiv:2310.05914; transformers, integrations/neftune.py (neftune_post_forward_hook).
 */
export function withNoise(x: tf.Tensor, scales: tf.Tensor, seed: tf.Tensor): tf.Tensor {
  // A list is as long as its batch, so only the graph knows its shape.
  const size = rawOp('Shape', [attr.type('out_type', 'int32')], [x])[0]!;
  const attrs = [attr.type('dtype', 'float32'), attr.type('T', 'int32'), attr.type('Tseed', 'int32')];
  const uniform = rawOp('StatelessRandomUniform', attrs, [size, seed])[0]!;
  const noise = tf.mul(tf.sub(tf.mul(uniform, 2), 1), tf.expandDims(scales, -1));
  return tf.add(x, noise);
}

import { attr, rawOp, tf } from '@graft/tf-graph';
import { takeRows } from './rows.ts';
import { type TableWithTrainedRows, type Weight, weightShape } from './weight.ts';

/**
 * Rows of an embedding table `(V, H)` for ids `(N)` int32, `(N, H)`. Rows of a frozen table are gathered from its stored form. In a trained
 * table, row `padding` gets no gradient here.
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

/** Gathers each id's row from the frozen table or from the trained rows, so that no gradient has the size of the table. */
function partlyTrained(ids: tf.Tensor, table: TableWithTrainedRows, padding: number | null): tf.Tensor {
  // For each id of the table the number of its trained row, from 1; 0 without one. In float32, because TensorFlow computes with integers
  // on the host even when a GPU is present.
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

/** Adds `by` to ids `(N)` int32. Computes in float32, exact below 2²⁴, because TensorFlow adds integers on the host. */
export const shiftedIds = (ids: tf.Tensor, by: number): tf.Tensor =>
  tf.cast(tf.add(tf.cast(ids, 'float32'), by), 'int32');

/**
 * Adds uniform noise between ± its row's scale, `(N)`, to x `(N, H)`; each seed `(2)` int32 gives a new draw. The gradient passes unchanged.
 * Source: Jain et al. 2023, arXiv:2310.05914; transformers, integrations/neftune.py (neftune_post_forward_hook).
 */
export function withNoise(x: tf.Tensor, scales: tf.Tensor, seed: tf.Tensor): tf.Tensor {
  // The length of a list depends on the batch, so its shape is known only when the graph runs.
  const size = rawOp('Shape', [attr.type('out_type', 'int32')], [x])[0]!;
  const attrs = [attr.type('dtype', 'float32'), attr.type('T', 'int32'), attr.type('Tseed', 'int32')];
  const uniform = rawOp('StatelessRandomUniform', attrs, [size, seed])[0]!;
  const noise = tf.mul(tf.sub(tf.mul(uniform, 2), 1), tf.expandDims(scales, -1));
  return tf.add(x, noise);
}

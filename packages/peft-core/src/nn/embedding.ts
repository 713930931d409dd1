import { tf } from '@graft/tf-graph';
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
  // For each id of the table the number of its trained row counted from 1; 0 without one.
  const numbers = new Int32Array(weightShape(table)[0]!);
  for (const [i, id] of table.ids.entries()) numbers[id] = i + 1;
  const number = tf.gather(tf.tensor1d(numbers, 'int32'), ids); // (N)
  const trained = tf.expandDims(tf.cast(tf.greater(number, 0), 'float32'), -1); // (N, 1)
  const row = tf.cast(tf.maximum(tf.sub(number, tf.scalar(1, 'int32')), tf.scalar(0, 'int32')), 'int32');
  const padded = padding === null ? -1 : table.ids.indexOf(padding);
  return tf.add(
    tf.mul(table.base.gather(ids), tf.sub(1, trained)),
    tf.mul(takeRows(table.rows, row, padded < 0 ? null : padded), trained),
  );
}

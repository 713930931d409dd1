import { tf } from '@graft/tf-graph';

/** Matrices with the same number of rows: either separate, or side by side in one matrix, as one product returned them. */
export type Columns = readonly tf.Tensor[];

/** Returns the separate matrices; `widths` are their numbers of columns. */
export function separate(columns: Columns, widths: readonly number[]): tf.Tensor[] {
  if (columns.length === widths.length) return [...columns];
  return tf.split(columns[0]!, [...widths], 1);
}

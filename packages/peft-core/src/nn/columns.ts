import { tf } from '@graft/tf-graph';

/** Matrices of as many rows: each for itself, or all side by side in one, as one product gave them. */
export type Columns = readonly tf.Tensor[];

/** Each for itself; `widths` are their columns. */
export function separate(columns: Columns, widths: readonly number[]): tf.Tensor[] {
  if (columns.length === widths.length) return [...columns];
  return tf.split(columns[0]!, [...widths], 1);
}

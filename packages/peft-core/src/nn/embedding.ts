import type { tf } from '@graft/tf-graph';
import { takeRows } from './rows.ts';
import type { Weight } from './weight.ts';

/** Rows of an embedding table `(V, H)` for ids `(N)` int32, `(N, H)`. A frozen table is gathered in its stored form. */
export function embedding(ids: tf.Tensor, weight: Weight): tf.Tensor {
  return weight.kind === 'frozen' ? weight.gather(ids) : takeRows(weight.tensor, ids);
}

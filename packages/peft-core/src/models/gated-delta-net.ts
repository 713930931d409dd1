import { tf } from '@graft/tf-graph';
import { gatedProduct } from '../nn/activations.ts';
import { separate } from '../nn/columns.ts';
import { mixedWidth, type Recurrence } from '../outlines/outline.ts';
import type { ModelRuntime } from './architecture.ts';

/** The projections of a gated DeltaNet layer, in the order of their stack: queries, keys and values; gate; rate; time step. */
export const deltaProjections = (path: string): string[] =>
  ['in_proj_qkv', 'in_proj_z', 'in_proj_b', 'in_proj_a'].map((name) => `${path}.${name}`);

interface DeltaNetSite {
  path: string;
  layer: number;
  epsilon: number;
  /** Selects the rows that are read after the layer. */
  read(x: tf.Tensor): tf.Tensor;
}

/**
 * A gated DeltaNet layer in the place of attention: h `(N, H)` → `(K, H)`, for the rows that `read` selects. Sources: Yang
 * et al. 2024, arXiv:2412.06464; transformers, its modules GatedDeltaNet.
 */
export function gatedDeltaNet(
  runtime: ModelRuntime,
  { path, layer, epsilon, read }: DeltaNetSite,
  recurrence: Recurrence,
  h: tf.Tensor,
): tf.Tensor {
  const { keyHeads, valueHeads, keySize, valueSize } = recurrence;
  const width = valueHeads * valueSize;
  const [mixed, gate, rate, step] = separate(runtime.linears(deltaProjections(path), h), [
    mixedWidth(recurrence),
    width,
    valueHeads,
    valueHeads,
  ]) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  const site = { layer, module: path, keyHeads, valueHeads, keySize, valueSize };
  const y = read(runtime.recur(site, { mixed, rate, step })); // (K, width)
  const byHead = tf.reshape(y, [-1, valueHeads, valueSize]);
  const normed = tf.reshape(runtime.rmsNorm(`${path}.norm`, byHead, epsilon), y.shape);
  return runtime.linear(`${path}.out_proj`, gatedProduct('silu', [read(gate), normed]));
}

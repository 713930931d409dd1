import { tf } from '@graft/tf-graph';
import { gatedProduct } from '../nn/activations.ts';
import { separate } from '../nn/columns.ts';
import { mixedWidth, type Recurrence } from '../outlines/outline.ts';
import type { ModelRuntime } from './architecture.ts';

export interface RecurrentLayer {
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
  { path, layer, epsilon, read }: RecurrentLayer,
  recurrence: Recurrence,
  h: tf.Tensor,
): tf.Tensor {
  const { rule, keyHeads, valueHeads, keySize, valueSize, projections } = recurrence;
  const inputs = projections === 'fused' ? byKeyHead : inTurn;
  const { mixed, gate, rate, step } = inputs(runtime, path, recurrence, h);
  const site = { layer, rule, module: path, keyHeads, valueHeads, keySize, valueSize };
  const y = read(runtime.recur(site, { mixed, rate, step })); // (K, width)
  const byHead = tf.reshape(y, [-1, valueHeads, valueSize]);
  const normed = tf.reshape(runtime.rmsNorm(`${path}.norm`, byHead, epsilon), y.shape);
  return runtime.linear(`${path}.out_proj`, gatedProduct('silu', [read(gate), normed]));
}

/** Queries, keys and values side by side; the gate of the output; the logits of the rates and the time steps, by value head. */
type Inputs = Record<'mixed' | 'gate' | 'rate' | 'step', tf.Tensor>;

function inTurn(runtime: ModelRuntime, path: string, recurrence: Recurrence, h: tf.Tensor): Inputs {
  const { valueHeads, valueSize } = recurrence;
  const modules = ['in_proj_qkv', 'in_proj_z', 'in_proj_b', 'in_proj_a'].map((name) => `${path}.${name}`);
  const widths = [mixedWidth(recurrence), valueHeads * valueSize, valueHeads, valueHeads];
  const [mixed, gate, rate, step] = separate(runtime.linears(modules, h), widths);
  return { mixed: mixed!, gate: gate!, rate: rate!, step: step! };
}

/** From modules whose outputs are those of each key head in turn. */
function byKeyHead(runtime: ModelRuntime, path: string, recurrence: Recurrence, h: tf.Tensor): Inputs {
  const { keyHeads, valueHeads, keySize, valueSize } = recurrence;
  const served = valueHeads / keyHeads;
  const widths = [2 * keyHeads * keySize + 2 * valueHeads * valueSize, 2 * valueHeads];
  const modules = [`${path}.in_proj_qkvz`, `${path}.in_proj_ba`];
  const [wide, narrow] = separate(runtime.linears(modules, h), widths) as [tf.Tensor, tf.Tensor];
  /** Splits the numbers of each key head, and puts the parts of all key heads side by side. */
  const parts = (x: tf.Tensor, sizes: number[]) => {
    const heads = tf.reshape(x, [-1, x.shape[1]! / keyHeads]); // (N · keyHeads, Σ sizes)
    return tf.split(heads, sizes, 1).map((part, i) => tf.reshape(part, [-1, keyHeads * sizes[i]!]));
  };
  const values = served * valueSize;
  const [q, k, v, gate] = parts(wide, [keySize, keySize, values, values]);
  const [rate, step] = parts(narrow, [served, served]);
  return { mixed: tf.concat([q!, k!, v!], 1), gate: gate!, rate: rate!, step: step! };
}

import { tf } from '@graft/tf-graph';
import { gatedProduct } from '../nn/activations.ts';
import { exactly, flowing } from '../nn/computation.ts';
import { rmsNorm } from '../nn/rms-norm.ts';
import { mixedWidth, type Recurrence } from '../outlines/outline.ts';
import type { ModelRuntime } from './architecture.ts';
import type { RecurrentLayer } from './gated-delta-net.ts';

/**
 * A Mamba-2 layer in the place of attention: h `(N, H)` → `(K, H)`, for the rows that `read` selects. Sources: Dao and Gu 2024,
 * arXiv:2405.21060; transformers, its modules MambaLayer.
 */
export function mamba(
  runtime: ModelRuntime,
  { path, layer, epsilon, read }: RecurrentLayer,
  recurrence: Recurrence,
  h: tf.Tensor,
): tf.Tensor {
  const { keyHeads, valueHeads, keySize, valueSize, rule } = recurrence;
  const widths = [valueHeads * valueSize, mixedWidth(recurrence), valueHeads];
  const [gate, mixed, step] = tf.split(runtime.linear(`${path}.in_proj`, h), widths, 1) as tf.Tensor[];
  const site = { layer, rule, module: path, keyHeads, valueHeads, keySize, valueSize };
  const y = read(runtime.recur(site, { mixed: mixed!, rate: null, step: step! })); // (K, width)
  const gated = gatedProduct('silu', [read(gate!), y]);
  return runtime.linear(`${path}.out_proj`, normed(runtime, `${path}.norm`, gated, keyHeads, epsilon));
}

/** RMSNorm of x `(K, width)` over each of `groups` parts of the width, times the module's weight `(width)`. */
function normed(
  runtime: ModelRuntime,
  module: string,
  x: tf.Tensor,
  groups: number,
  epsilon: number,
): tf.Tensor {
  if (groups === 1) return runtime.rmsNorm(module, x, epsilon);
  const width = x.shape[1]! / groups;
  const parts = rmsNorm(tf.reshape(x, [-1, groups, width]), tf.ones([width]), epsilon, false);
  return flowing(
    tf.mul(exactly(tf.reshape(parts, [-1, groups * width])), runtime.parameter(`${module}.weight`)),
  );
}

import { tf } from '@graft/tf-graph';
import { activation } from '../../nn/activations.ts';
import { dropout } from '../../nn/dropout.ts';
import { layerNorm } from '../../nn/layer-norm.ts';
import { trainedProduct } from '../../nn/linear.ts';
import { withBias } from '../../nn/scaled-columns.ts';
import type { LayerContext, ResidualAddWrapper } from '../tuner.ts';
import type { BottleneckConfig } from './config.ts';

/** torch.nn.LayerNorm's default. */
const EPSILON = 1e-5;

/**
 * Adds a sublayer's `output` to the `residual` through the adapter whose parameters have the prefix `path`; all are `(N, H)`.
 * With the bottleneck b(x), and the model's own norm in a post-norm model:
 * - sequential: x = output, or norm(output + residual) with original_ln_before; then b(x) + shortcut; with original_ln_after
 *   norm(… + residual). The shortcut is x, or an earlier value chosen by residual_before_ln.
 * - parallel: b(residual) + output; with original_ln_after norm(… + residual).
 *
 * A model that norms the output before it adds the residual does so with the adapter's result, too.
 *
 * Sources: Houlsby et al. 2019, arXiv:1902.00751; Pfeiffer et al. 2020, arXiv:2005.00247; He et al. 2021, arXiv:2110.04366;
 * adapters, methods/modeling.py (Adapter, ParallelAdapter).
 */
export function bottleneckResidualAdd(path: string, config: BottleneckConfig): ResidualAddWrapper {
  return (context, output, residual, norm, finish) => {
    const adapted = config.is_parallel
      ? tf.add(bottleneck(path, config, context, residual), output)
      : sequential(path, config, context, output, residual, norm ?? ((x) => x));
    if (!config.original_ln_after) return adapted;
    const sum = tf.add(finish(adapted), residual);
    return norm ? norm(sum) : sum;
  };
}

function sequential(
  path: string,
  config: BottleneckConfig,
  context: LayerContext,
  output: tf.Tensor,
  residual: tf.Tensor,
  norm: (x: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const added = config.original_ln_before ? tf.add(output, residual) : output;
  const x = config.original_ln_before ? norm(added) : output;
  const shortcut =
    config.residual_before_ln === true ? output : config.residual_before_ln === 'post_add' ? added : x;
  return bottleneck(path, config, context, x, shortcut);
}

/**
 * `scaling · (W↑ f(W↓ x))`, with a norm before and after if configured. `shortcut` is added before or after the last norm; a
 * parallel adapter has no shortcut.
 */
function bottleneck(
  path: string,
  config: BottleneckConfig,
  { parameter, random }: LayerContext,
  x: tf.Tensor,
  shortcut?: tf.Tensor,
): tf.Tensor {
  const own = (name: string) => parameter(`${path}.${name}`);
  const project = (name: string, x: tf.Tensor) =>
    withBias(trainedProduct(x, own(`${name}.weight`)), own(`${name}.bias`));
  const normed = (name: string, x: tf.Tensor) =>
    layerNorm(x, own(`${name}.weight`), own(`${name}.bias`), EPSILON);

  const down = config.ln_before
    ? project('adapter_down.1', normed('adapter_norm_before', x))
    : project('adapter_down.0', x);
  const { non_linearity } = config;
  const bent = activation(non_linearity === 'leakyrelu' ? 'leaky_relu' : non_linearity)(down);
  const up = project('adapter_up', bent); // (N, H)
  const scaling = typeof config.scaling === 'number' ? config.scaling : own('scaling');
  const scaled = scaling === 1 ? up : tf.mul(up, scaling);
  const dropped = random ? dropout(scaled, config.dropout, random) : scaled;
  const inner = shortcut && config.adapter_residual_before_ln ? tf.add(dropped, shortcut) : dropped;
  const after = config.ln_after ? normed('adapter_norm_after', inner) : inner;
  return shortcut && !config.adapter_residual_before_ln ? tf.add(after, shortcut) : after;
}

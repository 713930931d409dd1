import { tf } from '@graft/tf-graph';
import type { BottleneckConfig } from '../../config.ts';
import { activation } from '../../nn/activations.ts';
import { dropout } from '../../nn/dropout.ts';
import { layerNorm } from '../../nn/layer-norm.ts';
import { trainedProduct } from '../../nn/linear.ts';
import type { JoinWrapper, LayerContext } from '../tuner.ts';

/** torch.nn.LayerNorm's default. */
const EPSILON = 1e-5;

/**
 * A sublayer's `output` joins the `stream` through the adapter whose parameters lie under `path`, all `(N, H)`.
 * With b(x) the bottleneck, and "norm" the model's own in a post-norm model:
 * - sequential: x = output, or norm(output + stream) with original_ln_before; b(x) + residual; with original_ln_after
 *   norm(… + stream). The residual is x or what residual_before_ln takes before it.
 * - parallel: b(stream) + output; with original_ln_after norm(… + stream).
 *
 * Sources: Houlsby et al. 2019, arXiv:1902.00751; Pfeiffer et al. 2020, arXiv:2005.00247; He et al. 2021, arXiv:2110.04366;
 * adapters, methods/modeling.py (Adapter, ParallelAdapter).
 */
export function bottleneckJoin(path: string, config: BottleneckConfig): JoinWrapper {
  return (context, output, stream, norm = (x) => x) => {
    const joined = config.is_parallel
      ? tf.add(bottleneck(path, config, context, stream), output)
      : sequential(path, config, context, output, stream, norm);
    return config.original_ln_after ? norm(tf.add(joined, stream)) : joined;
  };
}

function sequential(
  path: string,
  config: BottleneckConfig,
  context: LayerContext,
  output: tf.Tensor,
  stream: tf.Tensor,
  norm: (x: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const added = config.original_ln_before ? tf.add(output, stream) : output;
  const x = config.original_ln_before ? norm(added) : output;
  const residual =
    config.residual_before_ln === true ? output : config.residual_before_ln === 'post_add' ? added : x;
  return bottleneck(path, config, context, x, residual);
}

/**
 * `scaling · (W↑ f(W↓ x))`, with norms before and after where the config has them. `residual` is added before or behind the
 * last norm; a parallel adapter has none.
 */
function bottleneck(
  path: string,
  config: BottleneckConfig,
  { parameter, random }: LayerContext,
  x: tf.Tensor,
  residual?: tf.Tensor,
): tf.Tensor {
  const own = (name: string) => parameter(`${path}.${name}`);
  const project = (name: string, x: tf.Tensor) =>
    tf.add(trainedProduct(x, own(`${name}.weight`)), own(`${name}.bias`));
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
  const inner = residual && config.adapter_residual_before_ln ? tf.add(dropped, residual) : dropped;
  const after = config.ln_after ? normed('adapter_norm_after', inner) : inner;
  return residual && !config.adapter_residual_before_ln ? tf.add(after, residual) : after;
}

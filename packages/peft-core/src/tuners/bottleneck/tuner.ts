import { tf } from '@graft/tf-graph';
import type { Architecture } from '../../models/architecture.ts';
import { activation } from '../../nn/activations.ts';
import { dropout } from '../../nn/dropout.ts';
import { layerNorm } from '../../nn/layer-norm.ts';
import { trainedProduct } from '../../nn/linear.ts';
import { withBias } from '../../nn/scaled-columns.ts';
import { savedModules } from '../attach/saved-modules.ts';
import { constant, drawn, uniform } from '../attach/start-values.ts';
import type {
  AdapterParameter,
  Attachment,
  FileCopy,
  LayerContext,
  ParameterInit,
  ResidualAddWrapper,
  Tuner,
} from '../tuner.ts';
import { ADAPTER_NAME, type BottleneckConfig } from './config.ts';
import { type Place, placesOf } from './places.ts';

/** Bottleneck adapters. Options, names and start values follow the `adapters` library's BnConfig. */
export const bottleneckTuner: Tuner<BottleneckConfig> = { keyPrefix: '', attach };

function attach(config: BottleneckConfig, model: Architecture): Attachment {
  const { parameters, replacements } = savedModules(config, model);
  const residualAdds = new Map<string, ResidualAddWrapper>();
  const copies: FileCopy[] = [];
  for (const place of placesOf(config, model)) {
    const path = `${place.site.module}.adapters.${ADAPTER_NAME}`;
    parameters.push(...parametersAt(path, place, config, model.hiddenSize));
    residualAdds.set(place.site.module, bottleneckResidualAdd(path, config));
    // The library stores the norm before a bottleneck under two names, and reports a missing key if either is absent.
    if (config.ln_before)
      for (const part of ['weight', 'bias'])
        copies.push({
          name: `${path}.adapter_down.0.${part}`,
          shape: [model.hiddenSize],
          of: { adapter: `${path}.adapter_norm_before.${part}` },
        });
  }
  return {
    parameters,
    replacements,
    residualAdds,
    copies,
    ...(config.dropout > 0 ? { drops: `dropout ${config.dropout}` } : {}),
  };
}

/** Source: adapters, methods/modeling.py (Adapter.__init__). */
function parametersAt(
  path: string,
  { width }: Place,
  config: BottleneckConfig,
  hiddenSize: number,
): AdapterParameter[] {
  const filled = (name: string, size: number, value: number): AdapterParameter => ({
    name: `${path}.${name}`,
    shape: [size],
    init: constant(size, value),
  });
  const norm = (name: string) => [
    filled(`${name}.weight`, hiddenSize, 1),
    filled(`${name}.bias`, hiddenSize, 0),
  ];
  const matrix = (name: string, out: number, from: number, start: Start): AdapterParameter => ({
    name: `${path}.${name}.weight`,
    shape: [out, from],
    init: start(out * from, from),
  });
  const starts = startValues[config.init_weights];
  const down = config.ln_before ? 'adapter_down.1' : 'adapter_down.0';
  return [
    ...(config.ln_before ? norm('adapter_norm_before') : []),
    matrix(down, width, hiddenSize, starts.down),
    filled(`${down}.bias`, width, 0),
    matrix('adapter_up', hiddenSize, width, starts.up),
    filled('adapter_up.bias', hiddenSize, 0),
    ...(config.scaling === 'learned' ? [filled('scaling', 1, 1)] : []),
    ...(config.scaling === 'channel' ? [filled('scaling', hiddenSize, 1)] : []),
    ...(config.ln_after ? norm('adapter_norm_after') : []),
  ];
}

/** Draws the start values of a weight with `size` elements and an input of width `from`. */
type Start = (size: number, from: number) => ParameterInit;

const narrow: Start = (size) => drawn(size, (random) => 0.02 * random.normal());
const truncated: Start = (size) =>
  drawn(size, (random) => {
    for (;;) {
      const value = random.normal();
      if (Math.abs(value) <= 2) return 0.01 * value;
    }
  });

const startValues: Record<BottleneckConfig['init_weights'], { down: Start; up: Start }> = {
  bert: { down: narrow, up: narrow },
  mam_adapter: { down: (size, from) => drawn(size, uniform(from)), up: (size) => constant(size, 0) },
  houlsby: { down: truncated, up: truncated },
};

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
function bottleneckResidualAdd(path: string, config: BottleneckConfig): ResidualAddWrapper {
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

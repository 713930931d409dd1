import { tf } from '@graft/tf-graph';
import type { Architecture } from '../../models/architecture.ts';
import { scaledColumns } from '../../nn/scaled-columns.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { embeddingCopies } from '../attach/embedding-copies.ts';
import { savedModules } from '../attach/saved-modules.ts';
import { constant, drawn, normal } from '../attach/start-values.ts';
import { isWithin, transposedTargets } from '../target-modules.ts';
import type { Attachment, LinearWrapper, Merge, Tuner } from '../tuner.ts';
import { type Ia3Config, ia3Method } from './method.ts';
import { completeTargets, type ScaledModule, scaledModules } from './scaled-modules.ts';

/** (IA)³: a trained factor for each channel. Options, names and start values follow peft's IA3Config. */
export const ia3Tuner: Tuner<Ia3Config> = { keyPrefix: 'base_model.model.', attach };

function attach(config: Ia3Config, model: Architecture): Attachment {
  ia3Method.check(config, model);
  const { modules, parameters, replacements, merges } = savedModules(config, model);
  const isSaved = (name: string) => modules.some((module) => isWithin(name, module));
  const scaled = scaledModules(config, model).filter(({ module }) => !isSaved(module.name));
  const names = scaled.map(({ module }) => module.name);
  const linears = new Map<string, LinearWrapper>();
  for (const one of scaled) {
    const { name, in: width, out } = one.module;
    const key = `${name}.ia3_l`;
    const shape = one.scales === 'input' ? [1, width!] : [out!, 1];
    const length = elementCount(shape);
    const init = config.init_ia3_weights ? constant(length, 1) : drawn(length, normal);
    parameters.push({ name: key, shape, init });
    linears.set(name, scaling(key, one.scales));
    merges.set(`${name}.weight`, mergedWeight(key, one));
    if (one.scales === 'output' && model.parameters.some((p) => p.name === `${name}.bias`))
      merges.set(`${name}.bias`, (bias, adapter) => bias.map((value, i) => value * adapter(key)[i]!));
  }
  return {
    parameters,
    linears,
    replacements,
    merges,
    copies: embeddingCopies(config.target_modules, names, model),
    written: { ...completeTargets(config, model), fan_in_fan_out: transposedTargets(names, model) },
  };
}

/** `base(l ⊙ x)` or `l ⊙ base(x)`, bias included. Source: Liu et al. 2022, arXiv:2205.05638; peft, tuners/ia3/layer.py. */
function scaling(key: string, scales: ScaledModule['scales']): LinearWrapper {
  return ({ parameter }, x, base) => {
    const factors = tf.reshape(parameter(key), [-1]);
    return scales === 'input' ? base(scaledColumns(x, factors)) : scaledColumns(base(x), factors);
  };
}

/** The weight with its output or input channels scaled. */
function mergedWeight(key: string, { module, scales }: ScaledModule): Merge {
  const columns = module.transposed ? module.out! : module.in!;
  // A weight is (out, in), a transposed one (in, out), so the scaled channels are its rows or its columns.
  const scalesRows = (scales === 'output') !== (module.transposed ?? false);
  return (weight, adapter) => {
    const factors = adapter(key);
    for (let i = 0; i < weight.length; i++)
      weight[i]! *= factors[scalesRows ? Math.floor(i / columns) : i % columns]!;
    return weight;
  };
}

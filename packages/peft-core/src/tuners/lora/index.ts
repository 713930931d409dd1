import type { LoraConfig } from '../../config.ts';
import { GraftError } from '../../errors.ts';
import type { Architecture } from '../../models/architecture.ts';
import type { Random } from '../../rng.ts';
import { addStandIn, savedModules } from '../saved-modules.ts';
import { rankAndAlphaFor, resolveTargetModules } from '../target-modules.ts';
import type { Attachment, LinearWrapper, Tuner } from '../tuner.ts';
import { loraDelta, loraLinear } from './layer.ts';

/** Low-rank adaptation. Options, names and start values as peft's LoraConfig has them. */
export const lora: Tuner<LoraConfig> = { peftType: 'LORA', keyPrefix: 'base_model.model.', attach };

function attach(config: LoraConfig, model: Architecture): Attachment {
  const saved = savedModules(config, model);
  const { parameters, standIns, merges } = saved;
  const linears = new Map<string, LinearWrapper>();
  const modules = new Map(model.modules.map((m) => [m.name, m]));

  for (const target of resolveTargetModules(config, model.modules, model.modelType)) {
    if (saved.modules.includes(target)) continue;
    const module = modules.get(target)!;
    if (module.kind !== 'linear') {
      throw new GraftError(
        'unimplemented_peft_option',
        `target_modules: "${target}" is a ${module.kind} module; LoRA is implemented for linear modules`,
        { param: 'peft.target_modules' },
      );
    }
    const [width, out] = [module.in!, module.out!];
    const { rank, alpha } = rankAndAlphaFor(config, target);
    const scale = config.use_rslora ? alpha / Math.sqrt(rank) : alpha / rank;
    const [a, b] = [`${target}.lora_A.weight`, `${target}.lora_B.weight`];
    parameters.push({
      name: a,
      shape: [rank, width],
      init: { kind: 'draw', draw: (random) => initialA(config, random, rank, width) },
    });
    parameters.push({
      name: b,
      shape: [out, rank],
      init: { kind: 'draw', draw: (random) => initialB(config, random, rank, out) },
    });
    linears.set(target, loraLinear(a, b, scale, config.lora_dropout));
    merges.set(`${target}.weight`, (weight, adapter) => {
      const delta = loraDelta(adapter(a), adapter(b), rank, scale);
      // A transposed weight is (in, out), the delta (out, in).
      return module.transposed
        ? weight.map((value, i) => value + delta[(i % out) * width + Math.floor(i / out)]!)
        : weight.map((value, i) => value + delta[i]!);
    });
  }

  for (const { name, shape } of model.parameters) {
    if (!name.endsWith('.bias')) continue;
    const module = name.slice(0, -'.bias'.length);
    const wanted = config.bias === 'all' || (config.bias === 'lora_only' && linears.has(module));
    if (!wanted || saved.modules.includes(module)) continue;
    // peft keeps a wrapped module's own parameters under `base_layer`.
    const key = linears.has(module) ? `${module}.base_layer.bias` : name;
    addStandIn(saved, name, { name: key, shape, init: { kind: 'base', parameters: [name] } });
  }
  return { parameters, linears, standIns, merges };
}

/** A: Kaiming uniform with a = √5, that is ±1/√in; "gaussian": a normal with deviation 1/rank. Source: peft, lora/layer.py reset_lora_parameters. */
function initialA(config: LoraConfig, random: Random, rank: number, width: number): Float32Array {
  return config.init_lora_weights === 'gaussian'
    ? fill(rank * width, () => random.normal() / rank)
    : fill(rank * width, () => (2 * random.uniform() - 1) / Math.sqrt(width));
}

/** B: zeros, so that training starts at the base model; init_lora_weights=false leaves a linear layer's usual start, for tests. */
function initialB(config: LoraConfig, random: Random, rank: number, out: number): Float32Array {
  if (config.init_lora_weights !== false) return new Float32Array(out * rank);
  return fill(out * rank, () => (2 * random.uniform() - 1) / Math.sqrt(rank));
}

function fill(size: number, draw: () => number): Float32Array {
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = draw();
  return values;
}

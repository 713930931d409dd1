import type { LoraConfig } from '../../config.ts';
import { GraftError } from '../../errors.ts';
import type { Architecture } from '../../models/architecture.ts';
import type { Random } from '../../rng.ts';
import { rankAndAlphaFor, resolveModulesToSave, resolveTargetModules } from '../target-modules.ts';
import type { AdapterParameter, Attachment, LinearWrapper, Tuner } from '../tuner.ts';
import { loraDelta, loraLinear } from './layer.ts';

/** Low-rank adaptation. Options, names and start values as peft's LoraConfig has them. */
export const lora: Tuner = { peftType: 'LORA', attach };

function attach(config: LoraConfig, model: Architecture): Attachment {
  const parameters: AdapterParameter[] = [];
  const linears = new Map<string, LinearWrapper>();
  const replacements = new Map<string, string>();
  const updates = new Map<string, { a: string; b: string; rank: number; scale: number }>();
  const modules = new Map(model.modules.map((m) => [m.name, m]));
  const saved = resolveModulesToSave(config, model.modules);

  for (const target of resolveTargetModules(config, model.modules, model.modelType)) {
    if (saved.includes(target)) continue;
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
    updates.set(`${target}.weight`, { a, b, rank, scale });
  }

  for (const { name, shape } of model.parameters) {
    if (!name.endsWith('.bias')) continue;
    const module = name.slice(0, -'.bias'.length);
    const wanted = config.bias === 'all' || (config.bias === 'lora_only' && linears.has(module));
    if (!wanted || saved.includes(module)) continue;
    // peft keeps a wrapped module's own parameters under `base_layer`.
    const key = linears.has(module) ? `${module}.base_layer.bias` : name;
    parameters.push({ name: key, shape, init: { kind: 'base', parameter: name } });
    replacements.set(name, key);
  }
  for (const module of saved) {
    const own = [`${module}.weight`, `${module}.bias`];
    for (const name of own) {
      const source = model.aliases[name] ?? name;
      const spec = model.parameters.find((p) => p.name === source);
      if (!spec) continue;
      parameters.push({ name, shape: spec.shape, init: { kind: 'base', parameter: source } });
      replacements.set(name, name);
    }
  }
  return {
    parameters,
    linears,
    replacements,
    mergeDelta(parameter, adapter) {
      const update = updates.get(parameter);
      return update ? loraDelta(adapter(update.a), adapter(update.b), update.rank, update.scale) : null;
    },
  };
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

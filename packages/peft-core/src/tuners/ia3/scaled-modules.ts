import { GraftError } from '../../errors.ts';
import type { ModelOutline, ModuleDescription } from '../../outlines/outline.ts';
import { fullMatch } from '../../schema/module-pattern.ts';
import { resolveTargetModules, writtenTargets } from '../target-modules.ts';
import type { Ia3Config } from './config.ts';

/** What PEFT 0.21.2 scales when target_modules and feedforward_modules are null, by model_type (peft/utils/constants.py). */
const DEFAULTS: Record<string, { targets: string[]; inputs: string[] }> = {
  llama: { targets: ['k_proj', 'v_proj', 'down_proj'], inputs: ['down_proj'] },
  mistral: { targets: ['k_proj', 'v_proj', 'down_proj'], inputs: ['down_proj'] },
  qwen2: { targets: ['q_proj', 'v_proj', 'down_proj'], inputs: ['down_proj'] },
  qwen3: { targets: ['q_proj', 'v_proj', 'down_proj'], inputs: ['down_proj'] },
  gpt2: { targets: ['c_attn', 'mlp.c_proj'], inputs: ['mlp.c_proj'] },
  bert: { targets: ['key', 'value', 'output.dense'], inputs: ['output.dense'] },
  roberta: { targets: ['key', 'value', 'output.dense'], inputs: ['output.dense'] },
  t5: { targets: ['k', 'v', 'wo'], inputs: ['wo'] },
};

const DEFAULT_TARGETS = Object.fromEntries(
  Object.entries(DEFAULTS).map(([type, { targets }]) => [type, targets]),
);

/** A linear module with a trained factor for each channel of its output, or of its input. */
export interface ScaledModule {
  module: ModuleDescription;
  scales: 'input' | 'output';
}

/**
 * The modules that `config` scales, in the model's order. Throws `target_modules_not_found`, `target_modules_required`,
 * `invalid_peft_config` for modules that are not linear.
 */
export function scaledModules(config: Ia3Config, model: ModelOutline): ScaledModule[] {
  const { feedforward_modules: inputs } = completeIa3(config, model);
  const byName = new Map(model.modules.map((module) => [module.name, module]));
  const isInput = (name: string) =>
    typeof inputs === 'string' ? fullMatch(inputs, name) : inputs!.some((end) => name.endsWith(end));
  const names = resolveTargetModules(config, model.modules, model.modelType, DEFAULT_TARGETS);
  const unfit = names.filter((name) => byName.get(name)!.kind !== 'linear');
  if (unfit.length > 0)
    throw new GraftError(
      'invalid_peft_config',
      `target_modules: IA3 scales linear layers, and ${unfit.slice(0, 4).join(', ')} ${unfit.length > 1 ? 'are' : 'is'} none`,
      { param: 'peft.target_modules' },
    );
  return names.map((name) => ({
    module: byName.get(name)!,
    scales: isInput(name) ? 'input' : 'output',
  }));
}

/** The config as PEFT writes it, with the architecture's defaults in the place of nulls. Throws `target_modules_required` where there are none. */
export function completeIa3(config: Ia3Config, { modelType, modules }: ModelOutline): Ia3Config {
  const defaults = DEFAULTS[modelType];
  if (!defaults && config.feedforward_modules === null)
    throw new GraftError(
      'target_modules_required',
      `there is no default of feedforward_modules for "${modelType}" models; name some, or none with []`,
      { param: 'peft.feedforward_modules' },
    );
  return {
    ...config,
    // PEFT leaves the lists of this method as long as they are.
    target_modules: writtenTargets(config, modules, modelType, DEFAULT_TARGETS, true),
    feedforward_modules: config.feedforward_modules ?? defaults!.inputs,
  };
}

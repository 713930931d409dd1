import { GraftError } from '../../errors.ts';
import type { ModelOutline, ModuleDescription } from '../../outlines/outline.ts';
import { optionError } from '../../schema/check-fields.ts';
import { fullMatch } from '../../schema/module-pattern.ts';
import { resolveTargetModules, type TargetOptions, writtenTargets } from '../target-modules.ts';

interface ScaledOptions extends TargetOptions {
  peft_type: string;
  feedforward_modules: string[] | string | null;
}

/** A linear module with a trained factor for each channel of its output or input. */
export interface ScaledModule {
  module: ModuleDescription;
  scales: 'input' | 'output';
}

/**
 * The modules that `config` scales, in the model's order. Throws `target_modules_not_found`, `target_modules_required`, and
 * `invalid_peft_config` for modules that are not linear.
 */
export function scaledModules(config: ScaledOptions, model: ModelOutline): ScaledModule[] {
  const { feedforward_modules: inputs } = completeTargets(config, model);
  const byName = new Map(model.modules.map((module) => [module.name, module]));
  const isInput = (name: string) =>
    typeof inputs === 'string' ? fullMatch(inputs, name) : inputs.some((end) => name.endsWith(end));
  const names = resolveTargetModules(config, model);
  const unfit = names.filter((name) => byName.get(name)!.kind !== 'linear');
  if (unfit.length > 0)
    throw optionError(
      'target_modules',
      `IA3 scales linear layers, and ${unfit.slice(0, 4).join(', ')} ${unfit.length > 1 ? 'are' : 'is'} none`,
    );
  return names.map((name) => ({ module: byName.get(name)!, scales: isInput(name) ? 'input' : 'output' }));
}

/** The config as PEFT writes it: nulls become the architecture's defaults. Throws `target_modules_required` if it has none. */
export function completeTargets<Options extends ScaledOptions>(config: Options, model: ModelOutline) {
  const feedForward =
    config.feedforward_modules ?? model.defaultTargets[config.peft_type]?.feedforward_modules;
  if (!feedForward)
    throw new GraftError(
      'target_modules_required',
      `there is no default of feedforward_modules for "${model.modelType}" models; name some, or none with []`,
      { param: 'peft.feedforward_modules' },
    );
  return {
    ...config,
    // For this method PEFT does not shorten lists of modules.
    target_modules: writtenTargets(config, model, true),
    feedforward_modules: feedForward,
  };
}

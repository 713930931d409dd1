import { type Static, Type } from 'typebox';
import type { ModelOutline } from '../../outlines/outline.ts';
import { optionError } from '../../schema/check-fields.ts';
import { modulePatternFaults } from '../../schema/module-options.ts';
import { excludeModules, modulesToSave, targetModules, taskType } from '../../schema/schema-parts.ts';
import { copiedEmbeddings, savedTensors, shapesOf, underModel } from '../file-tensors.ts';
import { checkTargetNames } from '../idle-targets.ts';
import { type Method, rateByWidth } from '../method.ts';
import { isWithin, resolveModulesToSave, resolveTargetModules, writtenTargets } from '../target-modules.ts';

/** LayerNorm tuning, with the names and defaults of HF PEFT 0.21's LNTuningConfig. */
const LnTuningConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('LN_TUNING', { description: 'The PEFT method.' }),
    task_type: taskType,
    target_modules: targetModules,
    exclude_modules: excludeModules,
    modules_to_save: modulesToSave,
  },
  {
    $id: 'LNTuningConfig',
    description: 'The norms of the model are trained. Source: Zhao et al. 2023, arXiv:2312.11420.',
  },
);

export type LnTuningConfig = Static<typeof LnTuningConfigSchema>;

export const lnTuningMethod: Method<LnTuningConfig> = {
  title: 'LayerNorm tuning',
  when: 'Style and domain shifts on a tight budget: the scales of the norms alone. Can be merged.',
  paper: 'https://arxiv.org/abs/2312.11420',
  library: 'HF PEFT',
  usual: {},
  trials: { languageModel: { options: {}, epochs: 4, margin: 50 } },
  schema: LnTuningConfigSchema,
  unimplemented: {},
  faults: modulePatternFaults,
  /** The rate of other trained factors. */
  learningRate: (_config, model) => rateByWidth(50, model),
  // A norm scales everything after it: above about 7e-3 SmolLM2 did not reach in 40 steps the loss that it reached at that rate.
  maxRateFactor: () => 1,
  /** Throws `target_modules_not_found`, `target_modules_required`, `invalid_peft_config`. */
  check(config, model) {
    resolveModulesToSave(config, model.modules);
    trainedModules(config, model);
  },
  checkIdle: checkTargetNames,
  fileTensors(config, model) {
    const { modules, tensors } = savedTensors(config, model);
    const shapes = shapesOf(model);
    const trained = trainedModules(config, model).filter(
      (name) => !modules.some((module) => isWithin(name, module)),
    );
    const parts = trained.flatMap((module) =>
      ['weight', 'bias'].flatMap((part) => {
        const name = `${module}.${part}`;
        const shape = shapes.get(model.aliases[name] ?? name);
        return shape ? [{ name: `${module}.ln_tuning_layers.${part}`, shape }] : [];
      }),
    );
    return underModel(
      [...tensors, ...parts],
      copiedEmbeddings(writtenTargets(config, model), trained, model),
    );
  },
  tensorNames: ['ln_tuning'],
};

/**
 * The modules that `config` trains, in the model's order: norms, and any other module that target_modules names, because PEFT
 * copies any module. Throws `target_modules_not_found`, `target_modules_required`, `invalid_peft_config`.
 */
export function trainedModules(config: LnTuningConfig, model: ModelOutline): string[] {
  const names = resolveTargetModules(config, model);
  const container = model.modules.find(({ name, kind }) => kind === 'other' && names.includes(name));
  if (container)
    throw optionError(
      'target_modules',
      `${container.name} holds other modules; name those, or put it into modules_to_save`,
    );
  return names;
}

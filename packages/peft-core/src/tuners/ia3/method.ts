import { type Static, Type } from 'typebox';
import { isClassifier, type ModelOutline } from '../../outlines/outline.ts';
import { configFault, type Fault, optionError } from '../../schema/check-fields.ts';
import { modulePatternFaults } from '../../schema/module-options.ts';
import { fullMatch } from '../../schema/module-pattern.ts';
import {
  excludeModules,
  fanInFanOut,
  ModuleNames,
  modulesToSave,
  Pattern,
  targetModules,
  taskType,
} from '../../schema/schema-parts.ts';
import { copiedEmbeddings, savedTensors, underModel } from '../file-tensors.ts';
import { checkTargetNames, checkTransposed, lastParts } from '../idle-targets.ts';
import { type Method, rateByWidth } from '../method.ts';
import { isWithin, resolveModulesToSave } from '../target-modules.ts';
import { completeTargets, scaledModules } from './scaled-modules.ts';

/** (IA)³, with the names and defaults of HF PEFT 0.21's IA3Config. */
const Ia3ConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('IA3', { description: 'The PEFT method.' }),
    task_type: taskType,
    target_modules: targetModules,
    exclude_modules: excludeModules,
    feedforward_modules: Type.Union([ModuleNames, Pattern, Type.Null()], {
      default: null,
      description:
        'Those of target_modules whose inputs are scaled, not their outputs: ends of names, or a regular expression matched against the whole path. Null takes the default for the architecture.',
    }),
    modules_to_save: modulesToSave,
    fan_in_fan_out: fanInFanOut,
    init_ia3_weights: Type.Boolean({
      default: true,
      description: 'Start with factors of one: at the base model. false: normal random factors.',
    }),
  },
  {
    $id: 'IA3Config',
    description: 'A trained factor for each channel. Source: Liu et al. 2022, arXiv:2205.05638.',
  },
);

export type Ia3Config = Static<typeof Ia3ConfigSchema>;

export const ia3Method: Method<Ia3Config> = {
  title: '(IA)³',
  when: 'Many tenants and few examples: very small, one trained factor a channel, can be merged.',
  paper: 'https://arxiv.org/abs/2205.05638',
  library: 'HF PEFT',
  usual: {},
  trials: { languageModel: { options: {}, epochs: 4, margin: 50 }, classifier: { options: {}, epochs: 10 } },
  schema: Ia3ConfigSchema,
  unimplemented: {},
  faults: ia3Faults,
  /**
   * Factors tolerate large steps: Liu et al. 2022 train a model of 11B at 3e-3. Together with a classifier's new head they learn best at
   * three times that rate (npm run sweep).
   */
  learningRate: ({ task_type: task }, model) => rateByWidth(isClassifier(task) ? 300 : 100, model),
  /** Throws `target_modules_not_found`, `target_modules_required`, `invalid_peft_config`. */
  check(config, model) {
    resolveModulesToSave(config, model.modules);
    scaledModules(config, model);
  },
  checkIdle(config, model) {
    checkTargetNames(config, model);
    const names = scaledModules(config, model).map(({ module }) => module.name);
    checkFeedForward(config, names, model);
    checkTransposed(config, names, model);
  },
  fileTensors(config, model) {
    const { modules, tensors } = savedTensors(config, model);
    const scaled = scaledModules(config, model).filter(
      ({ module }) => !modules.some((each) => isWithin(module.name, each)),
    );
    const factors = scaled.map(({ module: { name, in: width, out }, scales }) => ({
      name: `${name}.ia3_l`,
      shape: scales === 'input' ? [1, width!] : [out!, 1],
    }));
    const names = scaled.map(({ module }) => module.name);
    return underModel([...tensors, ...factors], copiedEmbeddings(config.target_modules, names, model));
  },
  tensorNames: ['ia3'],
};

/** Source: IA3Config.__post_init__. */
function ia3Faults(given: Record<string, unknown>): Fault[] {
  const { target_modules: targets, feedforward_modules: inputs } = given as Partial<Ia3Config>;
  const faults = modulePatternFaults(given);
  if (Array.isArray(targets) && Array.isArray(inputs)) {
    const stray = inputs.find((name) => !targets.includes(name));
    if (stray !== undefined)
      faults.push(configFault('feedforward_modules', `"${stray}" is not one of target_modules`));
  }
  return faults;
}

/** Refuses entries of feedforward_modules that match none of the scaled modules `names`. */
function checkFeedForward(config: Ia3Config, names: string[], model: ModelOutline): void {
  if (config.feedforward_modules === null) return;
  const { feedforward_modules: inputs } = completeTargets(config, model);
  const matches = (entry: string, name: string) =>
    typeof inputs === 'string' ? fullMatch(entry, name) : name.endsWith(entry);
  for (const entry of [inputs].flat())
    if (!names.some((name) => matches(entry, name)))
      throw optionError(
        'feedforward_modules',
        `"${entry}" matches none of the modules of target_modules, which are ${lastParts(names)}`,
      );
}

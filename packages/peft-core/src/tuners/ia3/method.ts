import { type Static, Type } from 'typebox';
import type { Fault } from '../../schema/check-fields.ts';
import { configFault } from '../../schema/check-fields.ts';
import { modulePatternFaults } from '../../schema/module-options.ts';
import {
  excludeModules,
  fanInFanOut,
  ModuleNames,
  modulesToSave,
  Pattern,
  targetModules,
  taskType,
} from '../../schema/schema-parts.ts';
import type { MethodConfig } from '../method.ts';

/** (IA)³, with the names and defaults of HF PEFT 0.21's IA3Config. */
export const Ia3ConfigSchema = Type.Object(
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

export const ia3Method: MethodConfig = {
  schema: Ia3ConfigSchema,
  unimplemented: {},
  faults: ia3Faults,
  learningRate: 3e-3,
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

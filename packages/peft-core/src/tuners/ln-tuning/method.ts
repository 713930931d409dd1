import { type Static, Type } from 'typebox';
import { modulePatternFaults } from '../../schema/module-options.ts';
import { excludeModules, modulesToSave, targetModules, taskType } from '../../schema/schema-parts.ts';
import type { MethodConfig } from '../method.ts';

/** LayerNorm tuning, with the names and defaults of HF PEFT 0.21's LNTuningConfig. */
export const LnTuningConfigSchema = Type.Object(
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

export const lnTuningMethod: MethodConfig = {
  schema: LnTuningConfigSchema,
  unimplemented: {},
  faults: modulePatternFaults,
  learningRate: 3e-3,
};

import { type Static, Type } from 'typebox';
import { configFault } from '../../schema/check-fields.ts';
import { modulePatternFaults } from '../../schema/module-options.ts';
import { Pattern, TargetNames, taskType, tokenIndices } from '../../schema/schema-parts.ts';
import type { MethodConfig } from '../method.ts';

/** Trainable tokens, with the names and defaults of HF PEFT 0.21's TrainableTokensConfig. */
export const TrainableTokensConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('TRAINABLE_TOKENS', { description: 'The PEFT method.' }),
    task_type: taskType,
    token_indices: tokenIndices,
    target_modules: Type.Union([TargetNames, Pattern, Type.Null()], {
      default: null,
      description:
        'Embeddings whose rows are trained: names matched as suffixes, or a regular expression. Null takes the input embedding.',
    }),
    init_weights: Type.Boolean({
      default: true,
      description: "Start with the tokens' own embeddings. false: normal random numbers.",
    }),
  },
  {
    $id: 'TrainableTokensConfig',
    description: 'The embeddings of chosen tokens are trained, in a tied head too.',
  },
);

export type TrainableTokensConfig = Static<typeof TrainableTokensConfigSchema>;

export const trainableTokensMethod: MethodConfig = {
  schema: TrainableTokensConfigSchema,
  unimplemented: {},
  faults(given) {
    const faults = modulePatternFaults(given);
    if (given.token_indices === undefined)
      faults.push(configFault('token_indices', 'is required: the ids of the tokens to train'));
    return faults;
  },
  learningRate: 1e-3,
};

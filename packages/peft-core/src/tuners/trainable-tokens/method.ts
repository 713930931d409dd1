import { type Static, Type } from 'typebox';
import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { configFault, optionError } from '../../schema/check-fields.ts';
import { modulePatternFaults } from '../../schema/module-options.ts';
import { Pattern, TargetNames, taskType, tokenIndices } from '../../schema/schema-parts.ts';
import { rowsShape, underModel } from '../file-tensors.ts';
import { checkTargetNames } from '../idle-targets.ts';
import { type Method, rateByWidth } from '../method.ts';
import { resolveTargetModules } from '../target-modules.ts';
import { inputEmbedding, type TokenTarget, tiedModules, tokenTargets } from '../token-targets.ts';

/** Trainable tokens, with the names and defaults of HF PEFT 0.21's TrainableTokensConfig. */
const TrainableTokensConfigSchema = Type.Object(
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

export const trainableTokensMethod: Method<TrainableTokensConfig> = {
  title: 'Trainable tokens',
  when: 'New special tokens, or a new meaning for a few old ones: only their embedding rows are trained. Low-rank adaptation takes them as an option, too.',
  paper: 'https://huggingface.co/docs/peft/package_reference/trainable_tokens',
  library: 'HF PEFT',
  usual: { token_indices: [0, 1, 2, 3] },
  usualNeedsModel: true,
  trials: {
    languageModel: {
      // The tokens of the ten answers, the end of a turn, and the roles.
      options: {
        token_indices: [
          1, 2, 31, 82, 99, 198, 272, 293, 520, 1160, 2002, 3422, 3552, 3936, 5472, 6994, 9531, 31625,
        ],
      },
      epochs: 4,
      margin: 30,
    },
  },
  schema: TrainableTokensConfigSchema,
  unimplemented: {},
  faults(given) {
    const faults = modulePatternFaults(given);
    if (given.token_indices === undefined)
      faults.push(configFault('token_indices', 'is required: the ids of the tokens to train'));
    return faults;
  },
  learningRate: (_config, model) => rateByWidth(75, model),
  /** Throws `unsupported_task`, `target_modules_not_found`, `invalid_peft_config`. */
  check(config, model) {
    // PEFT's TrainableTokensConfig has no modules_to_save: a head would stay at its random start.
    if (model.taskHead.length > 0)
      throw new GraftError(
        'unsupported_task',
        `TRAINABLE_TOKENS trains no classifier head, which ${config.task_type} needs; use a method with the option trainable_token_indices`,
        { param: 'peft.task_type' },
      );
    trainedTables(config, model);
  },
  checkIdle: checkTargetNames,
  tokens: ({ token_indices }) => token_indices,
  fileTensors(config, model) {
    const tables = trainedTables(config, model).flatMap((target) =>
      [target.module, ...target.followers].map((module) => ({
        name: `${module}.trainable_tokens_delta`,
        shape: rowsShape(target, model),
        copy: module !== target.module,
      })),
    );
    return underModel(
      tables.filter(({ copy }) => !copy),
      tables.filter(({ copy }) => copy),
    );
  },
  tensorNames: ['trainable_tokens'],
};

/** The tables whose rows `config` trains. Throws `target_modules_not_found`, `invalid_peft_config`. */
export function trainedTables(config: TrainableTokensConfig, model: ModelOutline): TokenTarget[] {
  const embedding = inputEmbedding(model);
  const modules = config.target_modules === null ? [embedding] : resolveTargetModules(config, model);
  const tied = modules.includes(embedding)
    ? modules.find((name) => tiedModules(model).includes(name))
    : undefined;
  if (tied !== undefined)
    throw optionError(
      'target_modules',
      `${tied} is tied to ${embedding} and gets the same rows; name one of them`,
    );
  const ids = config.token_indices;
  return tokenTargets(
    modules.map((module) => ({ module, ids })),
    model,
    'token_indices',
  );
}

import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { resolveTargetModules } from '../target-modules.ts';
import { inputEmbedding, type TokenTarget, tiedModules, tokenTargets } from '../token-targets.ts';
import type { TrainableTokensConfig } from './method.ts';

/** Throws `unsupported_task`, `target_modules_not_found`, `invalid_peft_config`. */
export function checkTrainableTokens(config: TrainableTokensConfig, model: ModelOutline): void {
  // PEFT's TrainableTokensConfig has no modules_to_save: a head would stay at its random start.
  if (model.taskHead.length > 0)
    throw new GraftError(
      'unsupported_task',
      `TRAINABLE_TOKENS trains no classifier head, which ${config.task_type} needs; use LORA with trainable_token_indices`,
      { param: 'peft.task_type' },
    );
  trainedTables(config, model);
}

/** The tables whose rows `config` trains. Throws as the check does. */
export function trainedTables(config: TrainableTokensConfig, model: ModelOutline): TokenTarget[] {
  const embedding = inputEmbedding(model);
  const modules = config.target_modules === null ? [embedding] : resolveTargetModules(config, model);
  const tied = modules.includes(embedding)
    ? modules.find((name) => tiedModules(model).includes(name))
    : undefined;
  if (tied !== undefined)
    throw new GraftError(
      'invalid_peft_config',
      `target_modules: ${tied} is tied to ${embedding} and gets the same rows; name one of them`,
      { param: 'peft.target_modules' },
    );
  const ids = config.token_indices;
  return tokenTargets(
    modules.map((module) => ({ module, ids })),
    model,
    'token_indices',
  );
}

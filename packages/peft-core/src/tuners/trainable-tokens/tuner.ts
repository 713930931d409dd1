import type { Architecture } from '../../models/architecture.ts';
import { savedModules } from '../attach/saved-modules.ts';
import { addTokenRows } from '../attach/token-rows.ts';
import { inputEmbedding } from '../token-targets.ts';
import type { Attachment, FileCopy, Tuner } from '../tuner.ts';
import { type TrainableTokensConfig, trainableTokensMethod, trainedTables } from './method.ts';

/** Trained rows of embeddings. Options, names and start values follow peft's TrainableTokensConfig (tuners/trainable_tokens). */
export const trainableTokensTuner: Tuner<TrainableTokensConfig> = { keyPrefix: 'base_model.model.', attach };

function attach(config: TrainableTokensConfig, model: Architecture): Attachment {
  trainableTokensMethod.check(config, model);
  const { parameters, replacements, merges } = savedModules({}, model);
  const copies: FileCopy[] = [];
  for (const target of trainedTables(config, model)) {
    const key = keyOf(target.module);
    addTokenRows({ parameters, replacements, merges }, target, key, model, !config.init_weights);
    const { shape } = parameters.at(-1)!;
    for (const follower of target.followers)
      copies.push({ name: keyOf(follower), shape, of: { adapter: key } });
  }
  return {
    parameters,
    replacements,
    merges,
    copies,
    written: { ...config, target_modules: config.target_modules ?? inputEmbedding(model) },
  };
}

const keyOf = (module: string) => `${module}.trainable_tokens_delta`;

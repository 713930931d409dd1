import type { Architecture } from '../../models/architecture.ts';
import { virtualTokenEmbedding } from '../attach/prompt-layers.ts';
import { savedModules } from '../attach/saved-modules.ts';
import { drawn, normal } from '../attach/start-values.ts';
import { PROMPT } from '../file-tensors.ts';
import { promptRows, virtualTokenSizes } from '../soft-prompt.ts';
import type { Attachment, ParameterInit, Tuner } from '../tuner.ts';
import { type PromptTuningConfig, promptTuningMethod, textRows } from './method.ts';

/** Trained embeddings before every sequence. Options, names and start values follow peft's PromptTuningConfig. */
export const promptTuningTuner: Tuner<PromptTuningConfig> = { keyPrefix: '', attach };

function attach(config: PromptTuningConfig, model: Architecture): Attachment {
  promptTuningMethod.check(config, model);
  const { parameters, replacements } = savedModules(config, model, 'base_model.');
  const rows = promptRows(config, model);
  return {
    parameters: [
      { name: PROMPT, shape: [rows, model.hiddenSize], init: initOf(config, rows, model) },
      ...parameters,
    ],
    replacements,
    sharedByBlocks: parameters.map(({ name }) => name),
    embeddings: new Map([[model.tokenEmbedding, virtualTokenEmbedding(model.vocabularySize)]]),
    written: { ...config, ...virtualTokenSizes(model) },
    virtualTokens: config.num_virtual_tokens,
  };
}

/** Source: peft, tuners/prompt_tuning/model.py. */
function initOf(config: PromptTuningConfig, rows: number, model: Architecture): ParameterInit {
  const parameter = `${model.tokenEmbedding}.weight`;
  // The rows as the module returns them.
  const factor = model.embeddingFactor ?? 1;
  switch (config.prompt_tuning_init) {
    case 'RANDOM':
      return drawn(rows * model.hiddenSize, normal);
    case 'SAMPLE_VOCAB':
      return {
        kind: 'rows',
        parameter,
        factor,
        pick: ({ random }) => Array.from({ length: rows }, () => random.integer(model.vocabularySize)),
      };
    case 'TEXT':
      return {
        kind: 'rows',
        parameter,
        factor,
        pick: ({ encode }) =>
          textRows(config.prompt_tuning_init_text!, encode, {
            count: rows,
            vocabularySize: model.vocabularySize,
          }),
      };
  }
}

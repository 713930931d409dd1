/** Common parts of soft prompts, as in HF PEFT: their options, and the sizes that come from the model. Loads no TensorFlow. */

import { Type } from 'typebox';
import { GraftError } from '../errors.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { optionError } from '../schema/check-fields.ts';
import { modulesToSave, taskType } from '../schema/schema-parts.ts';
import { resolveModulesToSave } from './target-modules.ts';

const modelSize = (description: string) =>
  Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()], {
    default: null,
    description: `${description} Filled in from the base model; another value is refused.`,
  });

/** Fields that the configs of all soft prompts share; names as in HF PEFT's PromptLearningConfig. */
export const promptFields = {
  task_type: taskType,
  num_virtual_tokens: Type.Integer({
    minimum: 1,
    maximum: 1024,
    default: 20,
    description: 'Positions trained before every sequence. HF PEFT has no default.',
  }),
  token_dim: modelSize('Width of one trained token.'),
  num_transformer_submodules: modelSize('2 for encoder-decoder models, else 1.'),
  num_attention_heads: modelSize('Attention heads; for a prefix those of the keys and values.'),
  num_layers: modelSize('Transformer layers.'),
  modules_to_save: modulesToSave,
};

export const encoderHiddenSize = Type.Union([Type.Integer({ minimum: 1, maximum: 65_536 }), Type.Null()], {
  default: null,
  description: 'Width of the encoder that the virtual tokens are trained through. Null takes token_dim.',
});

/** Fields of a config with the model's sizes. Source: peft, utils/other.py (_prepare_prompt_learning_config). */
export interface PromptSizes {
  token_dim: number;
  num_transformer_submodules: number;
  num_attention_heads: number;
  num_layers: number;
}

export interface SoftPromptConfig extends Record<keyof PromptSizes, number | null> {
  num_virtual_tokens: number;
  modules_to_save: string[] | null;
}

/** The sizes of a prompt of virtual tokens, which have the width of the model. PEFT saves them in the config. */
export function virtualTokenSizes(model: ModelOutline): PromptSizes {
  return {
    token_dim: model.hiddenSize,
    num_transformer_submodules: model.task === 'SEQ_2_SEQ_LM' ? 2 : 1,
    num_attention_heads: model.heads,
    num_layers: model.layers,
  };
}

/** Rows of `prompt_embeddings` of virtual tokens. For an encoder-decoder PEFT has the same number again, unused. */
export function promptRows(config: SoftPromptConfig, model: ModelOutline): number {
  return config.num_virtual_tokens * virtualTokenSizes(model).num_transformer_submodules;
}

/** Number of parameters of a linear layer: its weight and its bias. */
export const affineSize = (out: number, width: number) => out * (width + 1);

/** Throws `invalid_peft_config` for a size other than in `sizes` or a prompt that fills the context, and `target_modules_not_found`. */
export function checkPrompt(config: SoftPromptConfig, model: ModelOutline, sizes: PromptSizes): void {
  for (const [field, size] of Object.entries(sizes)) {
    const given = config[field as keyof PromptSizes];
    if (given !== null && given !== size)
      throw optionError(field, `is ${given}, but this base model's is ${size}; leave it out`);
  }
  const { num_virtual_tokens: count } = config;
  if (count >= model.maxPositions)
    throw optionError(
      'num_virtual_tokens',
      `${count} leave no position for text: the base model's context is ${model.maxPositions}`,
    );
  resolveModulesToSave(config, model.modules);
}

/** `checkPrompt` for virtual tokens. PEFT embeds text with the original table, even if modules_to_save trains a copy of it. */
export function checkVirtualTokens(config: SoftPromptConfig, model: ModelOutline): void {
  if (model.layerTable)
    throw new GraftError(
      'unsupported_model',
      `virtual tokens: layers of this ${model.modelType} model read a row of ${model.layerTable} for every token, and virtual tokens have none, so that HF PEFT cannot train them either; methods that change weights can be used`,
      { param: 'model' },
    );
  checkPrompt(config, model, virtualTokenSizes(model));
  if (resolveModulesToSave(config, model.modules).includes(model.tokenEmbedding))
    throw optionError(
      'modules_to_save',
      `${model.tokenEmbedding} cannot be trained beside virtual tokens: HF PEFT would keep using the untrained one`,
    );
}

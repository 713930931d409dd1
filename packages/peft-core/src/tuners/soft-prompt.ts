/** What soft prompts take from the model, as HF PEFT does. Loads no TensorFlow. */
import type { PeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { resolveModulesToSave } from './target-modules.ts';

export type SoftPromptConfig = Extract<PeftConfig, { num_virtual_tokens: number }>;

/** Fields of a config that say how large the model is. Source: peft, utils/other.py (_prepare_prompt_learning_config). */
export interface PromptSizes {
  token_dim: number;
  num_transformer_submodules: number;
  num_attention_heads: number;
  num_layers: number;
}

export function promptSizes(peftType: PeftConfig['peft_type'], model: ModelOutline): PromptSizes {
  // A prefix is made of keys and values, which are narrower than the stream with grouped-query attention.
  const cached = peftType === 'PREFIX_TUNING';
  return {
    token_dim: cached ? model.kvHeads * model.headSize : model.hiddenSize,
    num_transformer_submodules: model.task === 'SEQ_2_SEQ_LM' ? 2 : 1,
    num_attention_heads: cached ? model.kvHeads : model.heads,
    num_layers: model.layers,
  };
}

/** The config as PEFT saves it: sizes filled in from the model. */
export function completePrompt<Config extends SoftPromptConfig>(config: Config, model: ModelOutline): Config {
  const sizes = promptSizes(config.peft_type, model);
  const encoder = 'encoder_hidden_size' in config ? { encoder_hidden_size: encoderWidth(config, model) } : {};
  return { ...config, ...sizes, ...encoder };
}

export function encoderWidth(
  config: Extract<SoftPromptConfig, { encoder_hidden_size: number | null }>,
  model: ModelOutline,
): number {
  return config.encoder_hidden_size ?? promptSizes(config.peft_type, model).token_dim;
}

/** Rows of `prompt_embeddings` of virtual tokens: PEFT has as many again, unused, for a decoder that has its own encoder. */
export function promptRows(config: SoftPromptConfig, model: ModelOutline): number {
  return config.num_virtual_tokens * promptSizes(config.peft_type, model).num_transformer_submodules;
}

/** Throws `invalid_peft_config` for a size that is not the model's or a prompt that fills its context, and `target_modules_not_found`. */
export function checkPrompt(config: SoftPromptConfig, model: ModelOutline): void {
  const invalid = (field: string, message: string) =>
    new GraftError('invalid_peft_config', `${field}: ${message}`, { param: `peft.${field}` });
  const sizes = promptSizes(config.peft_type, model);
  for (const [field, size] of Object.entries(sizes)) {
    const given = config[field as keyof PromptSizes];
    if (given !== null && given !== size)
      throw invalid(field, `is ${given}, but this base model's is ${size}; leave it out`);
  }
  const { num_virtual_tokens: count } = config;
  if (count >= model.maxPositions)
    throw invalid(
      'num_virtual_tokens',
      `${count} leave no room for text: the base model's context is ${model.maxPositions}`,
    );
  const saved = resolveModulesToSave(config, model.modules);
  // PEFT embeds words by the table as it was before modules_to_save.
  if (config.peft_type !== 'PREFIX_TUNING' && saved.includes(model.tokenEmbedding))
    throw invalid(
      'modules_to_save',
      `${model.tokenEmbedding} cannot be trained beside virtual tokens: HF PEFT goes on using the untrained one`,
    );
}

import { Type } from 'typebox';
import { modulesToSave, taskType } from './schema-parts.ts';

const ofTheModel = (description: string) =>
  Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()], {
    default: null,
    description: `${description} Filled in from the base model; another value is refused.`,
  });

/** What the configs of all soft prompts share; names as in HF PEFT's PromptLearningConfig. */
export const promptFields = {
  task_type: taskType,
  num_virtual_tokens: Type.Integer({
    minimum: 1,
    maximum: 1024,
    default: 20,
    description: 'Positions trained before every sequence. HF PEFT has no default.',
  }),
  token_dim: ofTheModel('Width of one trained token.'),
  num_transformer_submodules: ofTheModel('2 for encoder-decoder models, else 1.'),
  num_attention_heads: ofTheModel('Attention heads; for PREFIX_TUNING those of the keys and values.'),
  num_layers: ofTheModel('Transformer layers.'),
  modules_to_save: modulesToSave,
};

export const encoderHiddenSize = Type.Union([Type.Integer({ minimum: 1, maximum: 65_536 }), Type.Null()], {
  default: null,
  description: 'Width of the encoder that the virtual tokens are trained through. Null takes token_dim.',
});

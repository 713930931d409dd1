import { type Static, Type } from 'typebox';
import type { Fault } from '../../schema/check-fields.ts';
import { configFault } from '../../schema/check-fields.ts';
import { promptFields } from '../../schema/prompt-fields.ts';
import type { MethodConfig } from '../method.ts';

/** Prompt tuning, with the names and defaults of HF PEFT 0.21's PromptTuningConfig. */
export const PromptTuningConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('PROMPT_TUNING', { description: 'The PEFT method.' }),
    ...promptFields,
    prompt_tuning_init: Type.Enum(['RANDOM', 'TEXT', 'SAMPLE_VOCAB'], {
      type: 'string',
      default: 'RANDOM',
      description:
        'First values: normal numbers, the embeddings of prompt_tuning_init_text, or those of tokens drawn from the vocabulary.',
    }),
    prompt_tuning_init_text: Type.Union([Type.String({ minLength: 1, maxLength: 65_536 }), Type.Null()], {
      default: null,
      description: 'The text of TEXT, repeated or cut to num_virtual_tokens tokens.',
    }),
    tokenizer_name_or_path: Type.Union([Type.String({ minLength: 1, maxLength: 4096 }), Type.Null()], {
      default: null,
      description:
        "Name of the text's tokenizer, which HF PEFT needs. Graft takes the base model's own tokenizer, and its name into the files where this is null.",
    }),
  },
  {
    $id: 'PromptTuningConfig',
    description: 'Trained embeddings before every sequence. Source: Lester et al. 2021, arXiv:2104.08691.',
  },
);

export type PromptTuningConfig = Static<typeof PromptTuningConfigSchema>;

export const promptTuningMethod: MethodConfig = {
  schema: PromptTuningConfigSchema,
  unimplemented: { tokenizer_kwargs: null },
  faults(given): Fault[] {
    const text = given.prompt_tuning_init_text ?? null;
    if (given.prompt_tuning_init === 'TEXT' && text === null)
      return [configFault('prompt_tuning_init_text', 'is required with prompt_tuning_init TEXT')];
    return [];
  },
  idle(given): Fault[] {
    const { prompt_tuning_init: init = 'RANDOM', prompt_tuning_init_text: text = null } = given;
    if (text === null || init === 'TEXT') return [];
    return [
      configFault(
        'prompt_tuning_init_text',
        `is for prompt_tuning_init TEXT, which is ${init}; set that, or leave the text out`,
      ),
    ];
  },
  // PEFT refuses a config of TEXT without a tokenizer's name.
  written: (config, baseModelName) =>
    config.prompt_tuning_init === 'TEXT'
      ? { ...config, tokenizer_name_or_path: config.tokenizer_name_or_path ?? baseModelName }
      : config,
  learningRate: 1e-2,
};

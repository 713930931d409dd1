import { type Static, Type } from 'typebox';
import { writesText } from '../../outlines/outline.ts';
import { configFault, type Fault, optionError, show } from '../../schema/check-fields.ts';
import { promptTensors } from '../file-tensors.ts';
import type { Method } from '../method.ts';
import { checkVirtualTokens, promptFields, promptRows } from '../soft-prompt.ts';

/** Prompt tuning, with the names and defaults of HF PEFT 0.21's PromptTuningConfig. */
const PromptTuningConfigSchema = Type.Object(
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

export const promptTuningMethod: Method<PromptTuningConfig> = {
  title: 'Prompt tuning',
  when: 'The smallest adapter, for large models: a few virtual tokens before every input. Slow to learn on small models.',
  paper: 'https://arxiv.org/abs/2104.08691',
  library: 'HF PEFT',
  usual: { num_virtual_tokens: 20 },
  trials: {
    languageModel: {
      options: {
        num_virtual_tokens: 20,
        prompt_tuning_init: 'TEXT',
        prompt_tuning_init_text:
          'Sort the message: workshop, sales, rental, billing or delivery; urgent or normal.',
      },
      epochs: 6,
      margin: 30,
    },
    classifier: { options: { num_virtual_tokens: 10 }, epochs: 15 },
  },
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
  // PEFT refuses TEXT without the name of a tokenizer.
  written: (config, baseModelName) =>
    config.prompt_tuning_init === 'TEXT'
      ? { ...config, tokenizer_name_or_path: config.tokenizer_name_or_path ?? baseModelName }
      : config,
  /** Three times as much if no text is generated (npm run sweep); Lester et al. 2021 use 0.3, with Adafactor. */
  learningRate: ({ task_type: task }) => (writesText(task) ? 2e-2 : 6e-2),
  /** Throws `invalid_peft_config`, `target_modules_not_found`. */
  check: checkVirtualTokens,
  unmergeable: () => 'virtual tokens stand before the text, where no weight of the base model is',
  checkInitialText({ prompt_tuning_init, prompt_tuning_init_text }, { vocabularySize }, encode) {
    if (prompt_tuning_init === 'TEXT')
      textRows(prompt_tuning_init_text!, encode, { count: 0, vocabularySize });
  },
  leadingPositions: ({ num_virtual_tokens }) => ({ virtualTokens: num_virtual_tokens, prefixLength: 0 }),
  fileTensors: (config, model) => promptTensors([promptRows(config, model), model.hiddenSize], config, model),
  tensorNames: ['prompt'],
};

/**
 * Ids of `count` virtual tokens that start as `text`: its tokens, repeated or truncated, as in PEFT. Throws `invalid_peft_config`
 * for a text without tokens, or with a token beyond the `vocabularySize` rows of the model's embedding table.
 */
export function textRows(
  text: string,
  encode: (text: string) => number[],
  { count, vocabularySize }: { count: number; vocabularySize: number },
): number[] {
  const ids = encode(text);
  const refuse = (message: string) => optionError('prompt_tuning_init_text', message);
  if (ids.length === 0) throw refuse(`${show(text)} has no tokens to start from`);
  const stray = ids.find((id) => id >= vocabularySize);
  if (stray !== undefined)
    throw refuse(
      `has a token with id ${stray}, which the base model does not know: its embedding table has ${vocabularySize} rows`,
    );
  return Array.from({ length: count }, (_, i) => ids[i % ids.length]!);
}

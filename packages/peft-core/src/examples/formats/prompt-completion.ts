import { show } from '../../schema/check-fields.ts';
import { commonLength } from '../../text/common-length.ts';
import { encoderDecoderExample } from './encoder-decoder-example.ts';
import { isPreference, PROMPT_LINE, textFault } from './fields.ts';
import type { DatasetFormat } from './format.ts';
import { type LabelledTokens, languageExample, withLabels } from './language-example.ts';
import type { Reading } from './reading.ts';

interface PromptCompletion {
  prompt: string;
  completion: string;
}

/** The loss covers the completion and eos. For an encoder-decoder the prompt is the input, and the completion the target. */
export const promptCompletion: DatasetFormat<'prompt_completion', PromptCompletion> = {
  name: 'prompt_completion',
  title: 'a prompt with its completion',
  fields: '{"prompt", "completion"}',
  called: PROMPT_LINE,
  sample: '{"prompt": "The courier", "completion": " left."}',
  tasks: ['CAUSAL_LM', 'SEQ_2_SEQ_LM'],
  targets: 'tokens',
  columns: ['prompt', 'completion'],
  matches: (line) =>
    (line.prompt !== undefined && line.messages === undefined && !isPreference(line)) ||
    line.completion !== undefined,
  read(line) {
    const { prompt, completion } = line;
    if (typeof prompt !== 'string') return `"prompt" must be a string, got ${show(prompt)}`;
    return textFault(line, 'completion') ?? { prompt, completion: completion as string };
  },
  tokenize(example, reading) {
    const { prompt, completion } = example;
    if (typeof reading.options.decoderStart === 'number')
      return [encoderDecoderExample(prompt, completion, reading, false)];
    const why = 'its completion has no token after another';
    return [languageExample(joinedTokens(example, reading), reading, why)];
  },
  prompt: ({ prompt, completion }) => prompt || completion,
  answerLength: ({ completion }) => completion.length,
  plainTexts: ({ prompt, completion }) => [prompt, completion],
};

/**
 * Prompt and completion as one sequence. They are tokenised together if that leaves the prompt's tokens as they are at inference, and
 * separately if a token would span both.
 */
export function joinedTokens(
  { prompt, completion }: PromptCompletion,
  { tokenizer, options, deadline }: Reading,
): LabelledTokens {
  const { allowSpecialTokens = false, repeatsBos = false } = options;
  const encoding = { specialTokens: allowSpecialTokens ? 'all' : 'none', repeatsBos, deadline } as const;
  const before = tokenizer.withoutEos(tokenizer.encode(prompt, encoding));
  const joined = tokenizer.encode(prompt + completion, encoding);
  const ids =
    commonLength(before, joined) === before.length
      ? joined
      : [...before, ...tokenizer.encode(completion, { ...encoding, addSpecialTokens: false })];
  return withLabels(tokenizer.withEos(ids), [{ from: before.length, to: Number.POSITIVE_INFINITY }]);
}

import { GraftError } from '../../errors.ts';
import { wordTokens } from '../../examples/formats/token-classification.ts';
import type { PromptReader } from '../../generate/prompts/prompt-reader.ts';
import type { Owned } from '../../generate/turns/fair-rows.ts';
import { promptLength } from '../../text/prompt-length.ts';
import { splitWords } from '../../text/split-words.ts';
import type { ScoredModel } from './scored-models.ts';

/** A text, its token ids, or, for a classifier of words, its words. */
export type ScoredInput = string | readonly number[] | readonly string[];

/** The tokens of an input. `words`: the position of each word's first token, −1 for a word that the tokenizer drops. */
export interface InputTokens {
  ids: number[];
  /** Number of tokens of the prompt at the start; absent: 0. */
  promptLength?: number;
  words?: number[];
}

type Limits = Pick<ScoredModel, 'kind' | 'longest' | 'vocabularySize'>;

interface Asked {
  owner: Owned;
  signal: AbortSignal | undefined;
  onRead(tokens: number): void;
}

/** Milliseconds of tokenising after which other work gets its turn. */
const TURN = 5;

/**
 * The tokens of all inputs, each text after `prompt`, without an adapter's virtual ones. `onRead` gets the number of tokens of each input, also of one that is refused.
 * Throws `context_length_exceeded`, `empty_prompt`, `invalid_token_id`, `prompt_not_tokenized` and `unsupported_input`, which name the input,
 * and the reason of `signal`.
 */
export async function readInputs(
  inputs: readonly ScoredInput[],
  reader: PromptReader,
  model: Limits,
  { prompt, ...asked }: Asked & { prompt: string },
): Promise<InputTokens[]> {
  const { signal, onRead } = asked;
  const read: InputTokens[] = [];
  const length = promptLength(reader.tokenizer, prompt);
  let since = performance.now();
  for (const [i, input] of inputs.entries()) {
    const name = inputs.length === 1 ? 'the input' : `input[${i}]`;
    const text = typeof input === 'string' ? prompt + input : input;
    const tokens = await tokensOf(text, name, reader, model, asked);
    if (typeof input === 'string' && length > 0) tokens.promptLength = length;
    read.push(tokens);
    onRead(tokens.ids.length);
    if (performance.now() - since < TURN) continue;
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    since = performance.now();
  }
  return read;
}

async function tokensOf(
  input: ScoredInput,
  name: string,
  reader: PromptReader,
  model: Limits,
  asked: Asked,
): Promise<InputTokens> {
  if (typeof input === 'string' && model.kind !== 'words')
    return await textTokens(input, name, reader, model, asked);
  if (typeof input === 'string')
    return await tokensOfWords(
      splitWords(input).map(({ word }) => word),
      name,
      reader,
      model,
      asked,
    );
  if (input.every((each) => typeof each === 'string') && input.length > 0) {
    if (model.kind === 'words') return await tokensOfWords(input, name, reader, model, asked);
    throw refusal(
      'unsupported_input',
      `${name} is a list of words, which only classifiers of words read; send a text`,
    );
  }
  if (model.kind === 'words')
    throw refusal(
      'unsupported_input',
      `${name} has token ids, and this classifier of words reads texts or lists of words`,
    );
  return { ids: checkedIds(input as readonly number[], name, model) };
}

async function textTokens(
  text: string,
  name: string,
  reader: PromptReader,
  { longest }: Limits,
  { owner, signal, onRead }: Asked,
): Promise<InputTokens> {
  // A prompt leaves one position for its answer, which a text does not need.
  const read = await reader.read({ prompt: text }, { context: longest + 1, leading: 0 }, owner, signal);
  if ('ids' in read) return { ids: [...read.ids] };
  const { code, message } = read.refusal;
  onRead(read.tokens);
  if (code === 'context_length_exceeded')
    throw tooLong(name, `${/at least/.test(message) ? 'at least ' : ''}${read.tokens}`, longest);
  throw refusal(
    code,
    code === 'empty_prompt' ? `${name} has no tokens; send some text` : `${name}: ${message}`,
  );
}

async function tokensOfWords(
  words: readonly string[],
  name: string,
  reader: PromptReader,
  model: Limits,
  asked: Asked,
): Promise<InputTokens> {
  const { longest } = model;
  if (words.length === 0 || words.some((word) => word.trim() === ''))
    throw refusal(
      'empty_prompt',
      `${name} has ${words.length === 0 ? 'no words' : 'an empty word'}; send some text`,
    );
  if (words.length > longest) throw tooLong(name, `at least ${words.length}`, longest);
  // Bounds the cost before each word is tokenised by itself.
  await textTokens(words.join(' '), name, reader, model, asked);
  const { ids, firsts } = wordTokens(reader.tokenizer, words);
  if (ids.length > longest) throw tooLong(name, `${ids.length}`, longest);
  return { ids, words: firsts };
}

function checkedIds(ids: readonly number[], name: string, { longest, vocabularySize }: Limits): number[] {
  if (ids.length === 0) throw refusal('empty_prompt', `${name} has no tokens; send some`);
  if (ids.length > longest) throw tooLong(name, `${ids.length}`, longest);
  const stray = ids.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (stray !== -1)
    throw refusal(
      'invalid_token_id',
      `${name} has ${ids[stray]} at position ${stray}; token ids of this model are 0 to ${vocabularySize - 1}`,
    );
  return [...ids];
}

const tooLong = (name: string, tokens: string, longest: number) =>
  refusal(
    'context_length_exceeded',
    `${name} has ${tokens} tokens; this model reads at most ${longest} of a text, so cut it into parts`,
  );

const refusal = (code: string, message: string) => new GraftError(code, message, { param: 'input' });

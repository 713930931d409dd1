import { GraftError } from '../errors.ts';
import { show } from '../schema/check-fields.ts';
import { strayToken, type Tokenizer } from '../text/tokenizer.ts';
import { BadLines } from './bad-lines.ts';
import type { ClassOf } from './label-names.ts';
import { labelledTokens } from './labelled-tokens.ts';
import type { Label, RawExample } from './raw-example.ts';
import { NO_TARGET, type TrainingExample } from './training-example.ts';
import { wordTokens } from './word-tokens.ts';

export interface TokenizeOptions {
  maxSeqLength: number;
  /** Positions that a soft prompt takes before every sequence. */
  leading?: number;
  /** Rows of the model's embedding table. The model does not know a token with a larger id. */
  vocabularySize?: number;
  /** The token that an encoder-decoder's decoder begins with; null for other models. */
  decoderStart?: number | null;
  /** The classes of a classifier's labels. */
  classOf?: ClassOf;
}

/**
 * Makes training examples of checked lines, one by one, and keeps what is wrong with lines for `fault`. Language models learn what
 * `labelledTokens` says; encoder-decoders the second text from the first; classifiers the class of a text, or of each word, which
 * its first token carries.
 */
export class ExampleTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #options: TokenizeOptions;
  readonly #onBadLine: (line: number) => void;
  readonly #bad = new BadLines();
  #firstCode: string | null = null;

  /** `onBadLine` is told the number of every bad line, past those that the error lists. */
  constructor(tokenizer: Tokenizer, options: TokenizeOptions, onBadLine: (line: number) => void = () => {}) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#onBadLine = onBadLine;
  }

  /** Null for a line that cannot be used. Throws what is wrong with the model: `no_chat_template`, `unsupported_chat_template`. */
  tokenize(raw: RawExample): TrainingExample | null {
    const { line } = raw;
    try {
      const tokenized = tokenizeOne(this.#tokenizer, raw, this.#options);
      checkIds(this.#tokenizer, raw, tokenized, this.#options);
      return { ...tokenized, line };
    } catch (error) {
      const tooLong = error instanceof GraftError && error.code === 'text_too_long';
      if (!(error instanceof BadExample || tooLong)) throw error;
      this.#firstCode ??= tooLong ? 'example_too_long' : error.code;
      this.#bad.add(line, error.message);
      this.#onBadLine(line);
      return null;
    }
  }

  /**
   * The error with every bad line: `example_too_long` (nothing is ever cut), `example_empty` (nothing to learn), `unknown_label`,
   * `invalid_token_id`, or `chat_template_error`; null without one.
   */
  fault(): GraftError | null {
    return this.#firstCode === null ? null : this.#bad.error(this.#firstCode);
  }
}

/** All of `examples`. Throws what `ExampleTokenizer` throws, and its fault. */
export function tokenizeExamples(
  tokenizer: Tokenizer,
  examples: Iterable<RawExample>,
  options: TokenizeOptions,
): TrainingExample[] {
  const all = new ExampleTokenizer(tokenizer, options);
  const done = Array.from(examples, (raw) => all.tokenize(raw)).filter((example) => example !== null);
  const fault = all.fault();
  if (fault) throw fault;
  return done;
}

/** Why one line cannot be used. */
class BadExample extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

type Tokenized = Omit<TrainingExample, 'line'>;

function tokenizeOne(tokenizer: Tokenizer, example: RawExample, options: TokenizeOptions): Tokenized {
  switch (example.format) {
    case 'prompt_completion':
      if (typeof options.decoderStart === 'number')
        return sequenceToSequence(tokenizer, example.prompt, example.completion, options);
      return languageExample(tokenizer, example, options);
    case 'chat':
    case 'text':
      return languageExample(tokenizer, example, options);
    case 'text_target':
      return sequenceToSequence(tokenizer, example.text, example.target, options);
    case 'classification': {
      const ids = textIds(tokenizer, example.text, options);
      return { sequences: [{ ids }], label: classOf(example.label, options), tokens: ids.length };
    }
    case 'token_classification':
      return taggedExample(tokenizer, example, options);
    case 'pairs':
      return embeddedTexts(tokenizer, example.texts, options);
    case 'scored_pairs':
      return { ...embeddedTexts(tokenizer, example.texts, options), score: example.score };
  }
}

/** Cut after the last target: later tokens change nothing. */
function languageExample(
  tokenizer: Tokenizer,
  example: Parameters<typeof labelledTokens>[1],
  options: TokenizeOptions,
): Tokenized {
  let whole: ReturnType<typeof labelledTokens>;
  try {
    whole = labelledTokens(tokenizer, example);
  } catch (error) {
    if (error instanceof GraftError && error.code === 'chat_template_error')
      throw new BadExample(error.code, error.message);
    throw error;
  }
  const { ids, labelled } = whole;
  const end = labelled.lastIndexOf(1) + 1;
  if (end === 0)
    throw new BadExample('example_empty', `has no token to learn: ${whyNothing[example.format]}`);
  checkLength(end, options);
  const targets = ids.slice(1, end).map((id, t) => (labelled[t + 1] === 1 ? id : NO_TARGET));
  return { sequences: [{ ids: ids.slice(0, end - 1), targets }], tokens: end };
}

const whyNothing = {
  chat: 'the chat template leaves out its assistant messages',
  prompt_completion: 'its completion comes to no token after another',
  text: 'its text comes to one token, and what is learnt is what follows',
};

/** The encoder reads the input as the tokenizer gives it; the decoder learns the target and the end. */
function sequenceToSequence(
  tokenizer: Tokenizer,
  input: string,
  target: string,
  options: TokenizeOptions,
): Tokenized {
  const inputIds = textIds(tokenizer, input, options);
  const targets = Int32Array.from(tokenizer.withEos(tokenizer.encode(target)));
  if (targets.length === 0)
    throw new BadExample(
      'example_empty',
      `has no token to learn: its target, ${show(target)}, comes to none`,
    );
  checkLength(targets.length, { ...options, leading: 0 });
  const ids = Int32Array.from([options.decoderStart!, ...targets.subarray(0, -1)]);
  return { sequences: [{ ids, input: inputIds, targets }], tokens: inputIds.length + targets.length };
}

function taggedExample(
  tokenizer: Tokenizer,
  { words, labels }: Extract<RawExample, { format: 'token_classification' }>,
  options: TokenizeOptions,
): Tokenized {
  const { ids, firsts } = wordTokens(tokenizer, words);
  checkLength(ids.length, options);
  const targets = new Int32Array(ids.length).fill(NO_TARGET);
  for (const [word, label] of labels.entries()) {
    const at = firsts[word]!;
    if (label !== null && at !== -1) targets[at] = classOf(label, options);
  }
  if (targets.every((target) => target === NO_TARGET))
    throw new BadExample('example_empty', 'has no labelled word that the tokenizer knows');
  return { sequences: [{ ids: Int32Array.from(ids), targets }], tokens: ids.length };
}

function embeddedTexts(tokenizer: Tokenizer, texts: readonly string[], options: TokenizeOptions): Tokenized {
  const sequences = texts.map((text) => ({ ids: textIds(tokenizer, text, options) }));
  return { sequences, tokens: sequences.reduce((sum, { ids }) => sum + ids.length, 0) };
}

function textIds(tokenizer: Tokenizer, text: string, options: TokenizeOptions): Int32Array {
  const ids = Int32Array.from(tokenizer.encode(text));
  if (ids.length === 0) throw new BadExample('example_empty', `has a text without tokens: ${show(text)}`);
  checkLength(ids.length, options);
  return ids;
}

function checkLength(tokens: number, { maxSeqLength, leading = 0 }: TokenizeOptions): void {
  if (tokens + leading <= maxSeqLength) return;
  const virtual = leading === 0 ? '' : ` and ${leading} virtual ones`;
  throw new BadExample(
    'example_too_long',
    `has ${tokens} tokens${virtual}; the limit (max_seq_length) is ${maxSeqLength}`,
  );
}

/** A tokenizer may have tokens that the model lacks. Their ids would be read as something else. */
function checkIds(
  tokenizer: Tokenizer,
  { format }: RawExample,
  { sequences }: Tokenized,
  { vocabularySize = Number.POSITIVE_INFINITY }: TokenizeOptions,
): void {
  for (const { ids, input, targets } of sequences) {
    // A word's targets are classes.
    const tokens = [ids, input ?? [], format === 'token_classification' ? [] : (targets ?? [])];
    const stray = tokens.flatMap((each) => each.find((id) => id >= vocabularySize) ?? [])[0];
    if (stray !== undefined)
      throw new BadExample('invalid_token_id', `has ${strayToken(tokenizer, stray, vocabularySize)}`);
  }
}

function classOf(label: Label, options: TokenizeOptions): number {
  const found = options.classOf?.(label) ?? null;
  if (found !== null) return found;
  throw new BadExample('unknown_label', `has the label ${show(label)}, which is none of the classifier's`);
}

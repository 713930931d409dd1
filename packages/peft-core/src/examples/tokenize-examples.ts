import { GraftError } from '../errors.ts';
import { show } from '../schema/check-fields.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import { Deadline } from '../text/deadline.ts';
import { strayToken, type Tokenizer } from '../text/tokenizer.ts';
import { BadLines } from './bad-lines.ts';
import type { ClassOf } from './label-names.ts';
import { type LabelledTokens, labelledTokens } from './labelled-tokens.ts';
import type { DatasetFormat, Label, RawExample } from './raw-example.ts';
import { textPieces } from './text-pieces.ts';
import { NO_TARGET, type TrainingExample } from './training-example.ts';
import { wordTokens } from './word-tokens.ts';

export interface TokenizeOptions {
  maxSeqLength: number;
  /** What becomes of longer examples. Default error. */
  overlong?: 'error' | 'truncate' | 'skip';
  /** Special tokens in messages, prompts and completions are tokens, not plain text. Default false. */
  allowSpecialTokens?: boolean;
  /** Other variables of the chat template. */
  templateKwargs?: TemplateKwargs;
  /** Tokens that a piece of a long text repeats of the piece before it. Null: long texts are not split. Default null. */
  textStride?: number | null;
  /** Texts that begin with the bos token get a second one, as in jobs of earlier versions. Default false. */
  repeatsBos?: boolean;
  /** How long a line may take to become tokens. */
  lineMilliseconds?: number;
  /** Positions that a soft prompt takes before every sequence. */
  leading?: number;
  /** Rows of the model's embedding table. The model does not know a token with a larger id. */
  vocabularySize?: number;
  /** The token that an encoder-decoder's decoder begins with; null for other models. */
  decoderStart?: number | null;
  /** The classes of a classifier's labels. */
  classOf?: ClassOf;
}

/** What became of a file's lines. */
export interface ExampleCounts {
  /** That can be used. A text that is split is as many as it has pieces. */
  examples: number;
  /** Of these: cut to max_seq_length. */
  truncated: number;
  /** Longer than max_seq_length and left out, or cut so that there was nothing left to learn. */
  skipped: number;
  /** In the content of messages, in prompts and in completions. */
  special_tokens: number;
}

export function noCounts(): ExampleCounts {
  return { examples: 0, truncated: 0, skipped: 0, special_tokens: 0 };
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
  readonly counts = noCounts();
  #firstCode: string | null = null;

  /** `onBadLine` is told the number of every bad line, past those that the error lists. */
  constructor(tokenizer: Tokenizer, options: TokenizeOptions, onBadLine: (line: number) => void = () => {}) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#onBadLine = onBadLine;
  }

  /** As `pieces`, of a line that is not split; null for one that cannot be used. */
  tokenize(raw: RawExample): TrainingExample | null {
    return this.pieces(raw)[0] ?? null;
  }

  /**
   * The examples of a line: one, several of a text that is split, or none where it cannot be used. Throws what is wrong with the
   * model: `no_chat_template`, `unsupported_chat_template`.
   */
  pieces(raw: RawExample): TrainingExample[] {
    const { line } = raw;
    const { overlong = 'error' } = this.#options;
    const reading = new Reading(this.#options);
    try {
      const tokenized = tokenizeOne(this.#tokenizer, raw, reading);
      for (const each of tokenized) checkIds(this.#tokenizer, raw, each, this.#options);
      this.counts.special_tokens += specialTokensOf(this.#tokenizer, raw);
      this.counts.examples += tokenized.length;
      if (reading.isTruncated) this.counts.truncated++;
      return tokenized.map((each) => ({ ...each, line }));
    } catch (error) {
      const isOfLine = error instanceof GraftError && LINE_FAULTS.has(error.code);
      if (!(error instanceof BadExample || isOfLine)) throw error;
      if (OVERLONG.has(error.code) && overlong !== 'error') {
        this.counts.skipped++;
        return [];
      }
      this.#firstCode ??= error.code;
      this.#bad.add(line, error.message);
      this.#onBadLine(line);
      return [];
    }
  }

  /**
   * The error with every bad line: `example_too_long`, `example_empty` (nothing to learn), `unknown_label`,
   * `invalid_token_id`, `text_too_long`, `text_too_slow` or `chat_template_error`; null without one.
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
  const done = Array.from(examples, (raw) => all.pieces(raw)).flat();
  const fault = all.fault();
  if (fault) throw fault;
  return done;
}

/** Faults of a line that the tokenizer finds. */
const LINE_FAULTS = new Set(['text_too_long', 'text_too_slow']);
/** What `overlong` is about: texts that are longer than the tokenizer takes are longer than any model's context, too. */
const OVERLONG = new Set(['example_too_long', 'text_too_long']);

/** Why one line cannot be used. */
class BadExample extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

type Tokenized = Omit<TrainingExample, 'line'>;

/** The reading of one line. */
class Reading {
  readonly options: TokenizeOptions;
  readonly deadline: Deadline;
  isTruncated = false;

  constructor(options: TokenizeOptions) {
    this.options = options;
    this.deadline = new Deadline(options.lineMilliseconds);
  }

  /** Tokens that a sequence may have. `leading`: it lies behind a soft prompt. */
  most(leading = true): number {
    return this.options.maxSeqLength - (leading ? (this.options.leading ?? 0) : 0);
  }

  /** How many of so many tokens are kept. Throws `example_too_long` where none may be cut. */
  kept(tokens: number, leading = true): number {
    const most = this.most(leading);
    if (tokens <= most) return tokens;
    if (this.options.overlong !== 'truncate') throw this.tooLong(`${tokens}`, leading);
    this.isTruncated = true;
    return most;
  }

  tooLong(tokens: string, leading = true): BadExample {
    const { maxSeqLength, leading: virtual = 0 } = this.options;
    const others = virtual === 0 || !leading ? '' : ` and ${virtual} virtual ones`;
    return new BadExample(
      'example_too_long',
      `has ${tokens} tokens${others}; the limit (max_seq_length) is ${maxSeqLength}`,
    );
  }

  /** The first tokens of a text and, as the tokenizer's own truncation does, the special ones after it. */
  fit(ids: readonly number[], after: readonly number[], leading = true): readonly number[] {
    const kept = this.kept(ids.length, leading);
    return kept === ids.length ? ids : [...ids.slice(0, Math.max(0, kept - after.length)), ...after];
  }
}

function tokenizeOne(tokenizer: Tokenizer, example: RawExample, reading: Reading): Tokenized[] {
  const { options } = reading;
  switch (example.format) {
    case 'prompt_completion':
      if (typeof options.decoderStart === 'number')
        return [sequenceToSequence(tokenizer, example.prompt, example.completion, reading, false)];
      return languageExample(tokenizer, example, reading);
    case 'chat':
    case 'text':
      return languageExample(tokenizer, example, reading);
    case 'text_target':
      return [sequenceToSequence(tokenizer, example.text, example.target, reading, true)];
    case 'classification': {
      const ids = textIds(tokenizer, example.text, reading);
      return [{ sequences: [{ ids }], label: classOf(example.label, options), tokens: ids.length }];
    }
    case 'multi_label_classification': {
      const ids = textIds(tokenizer, example.text, reading);
      const labels = example.labels.map((label) => classOf(label, options));
      return [{ sequences: [{ ids }], labels, tokens: ids.length }];
    }
    case 'token_classification':
      return [taggedExample(tokenizer, example, reading)];
    case 'pairs':
      return [embeddedTexts(tokenizer, example.texts, reading)];
    case 'scored_pairs':
      return [{ ...embeddedTexts(tokenizer, example.texts, reading), score: example.score }];
  }
}

/** Special tokens in what is plain text by default. */
function specialTokensOf(tokenizer: Tokenizer, example: RawExample): number {
  const texts =
    example.format === 'chat'
      ? example.messages.map(({ content }) => content)
      : example.format === 'prompt_completion'
        ? [example.prompt, example.completion]
        : [];
  return texts.reduce((sum, text) => sum + tokenizer.countSpecialTokens(text), 0);
}

/** Cut after the last target: later tokens change nothing. */
function languageExample(
  tokenizer: Tokenizer,
  example: Parameters<typeof labelledTokens>[1],
  reading: Reading,
): Tokenized[] {
  const { allowSpecialTokens = false, templateKwargs = {}, repeatsBos = false, overlong } = reading.options;
  const { deadline } = reading;
  let whole: LabelledTokens | null;
  try {
    const most = overlong === 'truncate' ? Number.POSITIVE_INFINITY : reading.most();
    const labelOptions = { allowSpecialTokens, templateKwargs, repeatsBos, deadline, most };
    whole = labelledTokens(tokenizer, example, labelOptions);
  } catch (error) {
    if (error instanceof GraftError && error.code === 'chat_template_error')
      throw new BadExample(error.code, error.message);
    throw error;
  }
  if (whole === null) throw reading.tooLong(`more than ${reading.most()}`);
  const { ids, labelled } = whole;
  const last = labelled.lastIndexOf(1) + 1;
  if (last === 0)
    throw new BadExample('example_empty', `has no token to learn: ${whyNothing[example.format]}`);
  const { textStride = null } = reading.options;
  const most = reading.most();
  const overlap = Math.max(1, textStride ?? 0);
  const splits = example.format === 'text' && textStride !== null && (overlong ?? 'error') === 'error';
  if (splits && last > most && overlap < most) {
    const pieces = textPieces(whole, last, { most, overlap });
    return pieces.map(({ sequence, tokens }) => ({ sequences: [sequence], tokens }));
  }
  const kept = reading.kept(last);
  const end = kept === last ? last : labelled.lastIndexOf(1, kept - 1) + 1;
  if (end === 0) throw reading.tooLong(`${last}`);
  const targets = ids.slice(1, end).map((id, t) => (labelled[t + 1] === 1 ? id : NO_TARGET));
  return [{ sequences: [{ ids: ids.slice(0, end - 1), targets }], tokens: end }];
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
  reading: Reading,
  allowSpecialTokens: boolean,
): Tokenized {
  const { options, deadline } = reading;
  const specialTokens = allowSpecialTokens || options.allowSpecialTokens ? 'all' : 'none';
  const inputIds = textIds(tokenizer, input, reading, specialTokens);
  const { repeatsBos = false } = options;
  const whole = tokenizer.withEos(tokenizer.encode(target, { specialTokens, repeatsBos, deadline }));
  if (whole.length === 0)
    throw new BadExample(
      'example_empty',
      `has no token to learn: its target, ${show(target)}, comes to none`,
    );
  const end = whole.slice(tokenizer.withoutEos(whole).length);
  const targets = Int32Array.from(reading.fit(whole, end, false));
  const ids = Int32Array.from([options.decoderStart!, ...targets.subarray(0, -1)]);
  return { sequences: [{ ids, input: inputIds, targets }], tokens: inputIds.length + targets.length };
}

function taggedExample(
  tokenizer: Tokenizer,
  { words, labels }: Extract<RawExample, { format: 'token_classification' }>,
  reading: Reading,
): Tokenized {
  const tokens = wordTokens(tokenizer, words);
  const { after } = tokenizer.specialTokensAround();
  const ids = Int32Array.from(reading.fit(tokens.ids, after));
  const most = ids.length - after.length;
  const targets = new Int32Array(ids.length).fill(NO_TARGET);
  let labelled = 0;
  for (const [word, label] of labels.entries()) {
    const at = tokens.firsts[word]!;
    if (label === null || at === -1) continue;
    labelled++;
    if (at < most) targets[at] = classOf(label, reading.options);
  }
  if (labelled === 0) throw new BadExample('example_empty', 'has no labelled word that the tokenizer knows');
  if (targets.every((target) => target === NO_TARGET)) throw reading.tooLong(`${tokens.ids.length}`);
  return { sequences: [{ ids, targets }], tokens: ids.length };
}

function embeddedTexts(tokenizer: Tokenizer, texts: readonly string[], reading: Reading): Tokenized {
  const sequences = texts.map((text) => ({ ids: textIds(tokenizer, text, reading) }));
  return { sequences, tokens: sequences.reduce((sum, { ids }) => sum + ids.length, 0) };
}

function textIds(
  tokenizer: Tokenizer,
  text: string,
  reading: Reading,
  specialTokens: 'all' | 'none' = 'all',
): Int32Array {
  const { deadline, options } = reading;
  const { repeatsBos = false } = options;
  const ids = tokenizer.encode(text, { specialTokens, repeatsBos, deadline });
  if (ids.length === 0) throw new BadExample('example_empty', `has a text without tokens: ${show(text)}`);
  return Int32Array.from(reading.fit(ids, tokenizer.specialTokensAround().after));
}

/** Tokens of an example that `max_seq_length` limits, without a soft prompt: of its longest text where it has several. */
export function lengthOf(format: DatasetFormat, { sequences, tokens }: TrainingExample): number {
  const { input, targets } = sequences[0]!;
  if (input) return Math.max(input.length, targets?.length ?? 0);
  // A language model's sequence lacks its last token.
  if (targets && format !== 'token_classification') return tokens;
  return Math.max(...sequences.map(({ ids }) => ids.length));
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

import type { TrainOn } from '../../chat/assistant-spans.ts';
import { GraftError, MAX_MESSAGE, shortened } from '../../errors.ts';
import { show } from '../../schema/check-fields.ts';
import type { TemplateKwargs } from '../../schema/template-kwargs.ts';
import { Deadline } from '../../text/deadline.ts';
import { promptLength } from '../../text/prompt-length.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import type { Sequence } from '../training-example.ts';
import type { Label } from './fields.ts';

/** The class of a label in a classifier's head; null if there is none. */
export type ClassOf = (label: Label) => number | null;

export interface TokenizeOptions {
  maxSeqLength: number;
  /** Treatment of longer examples. Default error. */
  overlong?: 'error' | 'truncate' | 'skip';
  /** Special tokens in messages, prompts and completions are encoded as tokens, not as plain text. Default false. */
  allowSpecialTokens?: boolean;
  templateKwargs?: TemplateKwargs;
  /** Which assistant messages of a chat are trained on. Default `all_assistant`. */
  trainOn?: TrainOn;
  /** The reasoning of a chat's messages is not trained on. Default false. */
  maskReasoning?: boolean;
  /** Number of tokens that a piece of a long text repeats from the preceding piece. Null: long texts are not split. Default null. */
  textStride?: number | null;
  /** Texts that begin with the bos token get a second one, as in jobs of earlier versions. Default false. */
  repeatsBos?: boolean;
  /** Texts to embed have these before them, by column. Default none. */
  prompts?: Readonly<Record<string, string>>;
  lineMilliseconds?: number;
  /** Number of positions of a soft prompt before every sequence. */
  leading?: number;
  /** Number of rows in the model's embedding table. The model does not know tokens with larger ids. */
  vocabularySize?: number;
  /** The start token of an encoder-decoder's decoder; null for other models. */
  decoderStart?: number | null;
  /** Sequences of chats get `roles`. Default false. */
  roles?: boolean;
  /** The tokens from whose last occurrence in a sequence on the adapter is active; null: it always is. Default null. */
  invocation?: readonly number[] | null;
  classOf?: ClassOf;
}

export class BadExample extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(shortened(message, MAX_MESSAGE));
    this.code = code;
  }
}

/** Faults that `overlong` applies to: texts longer than the tokenizer's limit are also longer than any model's context. */
const OVERLONG = new Set(['example_too_long', 'text_too_long']);

/** Returns true if an example with this fault is left out. */
export const isSkipped = (error: unknown, { overlong = 'error' }: TokenizeOptions): boolean =>
  overlong !== 'error' &&
  (error instanceof BadExample || error instanceof GraftError) &&
  OVERLONG.has(error.code);

/** The tokenisation of one line. Throws BadExample for faults of the line, and the tokenizer's errors. */
export class Reading {
  readonly tokenizer: Tokenizer;
  readonly options: TokenizeOptions;
  readonly deadline: Deadline;
  readonly #promptLengths: Map<string, number>;
  isTruncated = false;
  /** Examples of a line that has several: those that were truncated, and those that `overlong` left out. */
  readonly counts = { truncated: 0, skipped: 0 };

  /** `promptLengths`: tokens of the prompt of each column, which all lines share. */
  constructor(tokenizer: Tokenizer, options: TokenizeOptions, promptLengths: Map<string, number>) {
    this.tokenizer = tokenizer;
    this.options = options;
    this.#promptLengths = promptLengths;
    this.deadline = new Deadline(options.lineMilliseconds);
  }

  /** Maximum number of tokens in a sequence. `leading`: a soft prompt precedes it. */
  most(leading = true): number {
    return this.options.maxSeqLength - (leading ? (this.options.leading ?? 0) : 0);
  }

  /** How many of `tokens` tokens are kept. Throws `example_too_long` if examples may not be truncated. */
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

  /** The examples of a line of several. `overlong` leaves out those that are too long, and no other. */
  separately<Part, Example>(parts: readonly Part[], exampleOf: (part: Part) => Example): Example[] {
    return parts.flatMap((part) => {
      try {
        const example = exampleOf(part);
        if (this.isTruncated) this.counts.truncated++;
        return [example];
      } catch (error) {
        if (parts.length === 1 || !isSkipped(error, this.options)) throw error;
        this.counts.skipped++;
        return [];
      } finally {
        this.isTruncated = false;
      }
    });
  }

  /** The first tokens of a text followed by its final special tokens, as in the tokenizer's own truncation. */
  fit(ids: readonly number[], after: readonly number[], leading = true): readonly number[] {
    const kept = this.kept(ids.length, leading);
    return kept === ids.length ? ids : [...ids.slice(0, Math.max(0, kept - after.length)), ...after];
  }

  /** Tokens of a text with the tokenizer's special tokens around it, truncated if it is too long. */
  textIds(text: string, specialTokens: 'all' | 'none' = 'all'): Int32Array {
    const { repeatsBos = false } = this.options;
    const ids = this.tokenizer.encode(text, { specialTokens, repeatsBos, deadline: this.deadline });
    if (ids.length === 0) throw new BadExample('example_empty', `has a text without tokens: ${show(text)}`);
    return Int32Array.from(this.fit(ids, this.tokenizer.specialTokensAround().after));
  }

  /** The sequence of a text to embed, after the prompt of its column. Throws `example_too_long` if truncation leaves only the prompt. */
  promptedText(column: string, text: string): Pick<Sequence, 'ids' | 'promptLength'> {
    const prompt = this.options.prompts?.[column] ?? '';
    const ids = this.textIds(prompt + text);
    if (prompt === '') return { ids };
    const length = this.#promptLengths.get(column) ?? promptLength(this.tokenizer, prompt);
    this.#promptLengths.set(column, length);
    if (length < ids.length - this.tokenizer.specialTokensAround().after.length)
      return { ids, promptLength: length };
    throw new BadExample(
      'example_too_long',
      `has no token of its ${column} left after a prompt of ${length} tokens; the limit (max_seq_length) is ${this.options.maxSeqLength}`,
    );
  }

  /** Throws `unknown_label`. */
  classOf(label: Label): number {
    const found = this.options.classOf?.(label) ?? null;
    if (found !== null) return found;
    throw new BadExample('unknown_label', `has the label ${show(label)}, which is none of the classifier's`);
  }
}

import { GraftError } from '../errors.ts';
import { show } from '../schema/check-fields.ts';
import { strayToken, type Tokenizer } from '../text/tokenizer.ts';
import { BadLines } from './bad-lines.ts';
import { firstActiveInExample } from './batches/example-size.ts';
import type { DatasetFormat, Tokenized } from './formats/format.ts';
import { type FormatName, formatOf, type RawExample } from './formats/formats.ts';
import { BadExample, isSkipped, Reading, type TokenizeOptions } from './formats/reading.ts';
import type { TrainingExample } from './training-example.ts';

export interface ExampleCounts {
  /** Usable examples. A text or a chat that is split counts once per piece. */
  examples: number;
  /** How many of these were truncated to max_seq_length. */
  truncated: number;
  /** Longer than max_seq_length and skipped, or truncated so that nothing was left to train on. */
  skipped: number;
  /** Special tokens in the content of messages, in prompts and in completions. */
  special_tokens: number;
  /** Examples of weight 0, which are checked and left out; absent: none. */
  zero_weight?: number;
  /** Bad lines that were skipped (`on_bad_lines`); absent: none. */
  bad_lines?: number;
}

export function noCounts(): ExampleCounts {
  return { examples: 0, truncated: 0, skipped: 0, special_tokens: 0 };
}

/**
 * Steps that a chat template may take for a job's files: those of any job, and more for each byte. The templates in use take 1 to 15 for a
 * byte, and those that look ahead up to 450 for conversations of hundreds of short messages.
 */
const TEMPLATE_STEPS = 1e9;
const TEMPLATE_STEPS_PER_BYTE = 500;

/** Limits the cost of rendering all conversations of a job's files, whatever the limit of each. */
export class TemplateAllowance {
  readonly #tokenizer: Tokenizer;
  readonly #bytes: number;
  readonly #most: number;
  #before: number;

  /** `bytes`: of all files. `steps`: those of any job. */
  constructor(tokenizer: Tokenizer, bytes: number, steps = TEMPLATE_STEPS) {
    this.#tokenizer = tokenizer;
    this.#bytes = bytes;
    this.#most = steps + TEMPLATE_STEPS_PER_BYTE * bytes;
    this.#before = tokenizer.templateSteps;
  }

  /** Runs `body`, whose steps do not count. */
  without<T>(body: () => T): T {
    const start = this.#tokenizer.templateSteps;
    try {
      return body();
    } finally {
      this.#before += this.#tokenizer.templateSteps - start;
    }
  }

  /** Throws `chat_template_error` if the conversations so far have taken more. */
  check(): void {
    if (this.#tokenizer.templateSteps - this.#before <= this.#most) return;
    throw new GraftError(
      'chat_template_error',
      `the chat template takes more than ${this.#most} steps for files of ${this.#bytes} bytes, the limit; use a simpler template, shorter conversations, or training.train_on "last_assistant"`,
      { param: this.#tokenizer.templateParam },
    );
  }
}

/** Converts checked lines to training examples, one by one, as their format defines, and collects the faults of lines for `fault`. */
export class ExampleTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #options: TokenizeOptions;
  readonly #onBadLine: (line: number) => void;
  readonly #bad = new BadLines();
  readonly counts = noCounts();
  #firstCode: string | null = null;
  /** Tokens of the prompt of each column. */
  readonly #promptLengths = new Map<string, number>();

  /** `onBadLine` receives the number of every bad line, including those beyond the limit of the error's list. */
  constructor(tokenizer: Tokenizer, options: TokenizeOptions, onBadLine: (line: number) => void = () => {}) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#onBadLine = onBadLine;
  }

  /** Like `pieces`, for a line that is not split; null for a line without examples. */
  tokenize(raw: RawExample): TrainingExample | null {
    return this.pieces(raw)[0] ?? null;
  }

  /**
   * The examples of a line: one, several if a text is split, or none if it is unusable or of weight 0. Throws faults of the model:
   * `no_chat_template`, `unsupported_chat_template`.
   */
  pieces(raw: RawExample): TrainingExample[] {
    const { line, weight = 1 } = raw;
    if (weight === 0) {
      this.counts.zero_weight = (this.counts.zero_weight ?? 0) + 1;
      return [];
    }
    const format = formatOf(raw.format);
    const reading = new Reading(this.#tokenizer, this.#options, this.#promptLengths);
    try {
      const tokenized = format.tokenize(raw, reading);
      for (const each of tokenized) {
        checkIds(reading, format.targets, each);
        checkInvocation(reading, each);
      }
      for (const text of format.plainTexts?.(raw) ?? [])
        this.counts.special_tokens += this.#tokenizer.countSpecialTokens(text);
      this.counts.examples += tokenized.length;
      this.counts.truncated += reading.counts.truncated + (reading.isTruncated ? 1 : 0);
      this.counts.skipped += reading.counts.skipped;
      return tokenized.map((each) => (weight === 1 ? { ...each, line } : { ...each, line, weight }));
    } catch (error) {
      const isOfLine = error instanceof GraftError && LINE_FAULTS.has(error.code);
      if (!(error instanceof BadExample || isOfLine)) throw error;
      if (isSkipped(error, this.#options)) {
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
   * The error with every bad line: `example_too_long`, `example_empty` (nothing to train on), `unknown_label`,
   * `invalid_token_id`, `invocation_missing`, `text_too_long`, `text_too_slow` or `chat_template_error`; null without bad lines.
   */
  fault(): GraftError | null {
    return this.#firstCode === null ? null : this.#bad.error(this.#firstCode);
  }
}

/** Tokenises all `examples`. Throws the errors of `ExampleTokenizer`, and its fault. */
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

/** Number of tokens of an example that `max_seq_length` limits, without a soft prompt: those of its longest text if it has several. */
export function lengthOf(format: FormatName, { sequences, tokens }: TrainingExample): number {
  const { input, targets } = sequences[0]!;
  if (input) return Math.max(input.length, targets?.length ?? 0);
  // A language model's sequence lacks its last token.
  const predicts = targets && formatOf(format).targets === 'tokens';
  if (predicts && sequences.length === 1) return tokens;
  if (predicts) return 1 + Math.max(...sequences.map(({ ids }) => ids.length));
  return Math.max(...sequences.map(({ ids }) => ids.length));
}

/** A tokenizer may have tokens that the model lacks. The model would read their ids as something else. */
function checkIds(
  { tokenizer, options }: Reading,
  targetsAre: DatasetFormat['targets'],
  { sequences }: Tokenized,
): void {
  const { vocabularySize = Number.POSITIVE_INFINITY } = options;
  for (const { ids, input, targets } of sequences) {
    const tokens = [ids, input ?? [], targetsAre === 'tokens' ? (targets ?? []) : []];
    const stray = tokens.flatMap((each) => each.find((id) => id >= vocabularySize) ?? [])[0];
    if (stray !== undefined)
      throw new BadExample('invalid_token_id', `has ${strayToken(tokenizer, stray, vocabularySize)}`);
  }
}

/** An adapter learns nothing from a sequence that does not activate it, or only after its last input. */
function checkInvocation({ tokenizer, options }: Reading, { sequences }: Tokenized): void {
  const { invocation = null } = options;
  if (!invocation || sequences.every((each) => firstActiveInExample(each, invocation) < each.ids.length))
    return;
  const which = sequences.length > 1 ? 'a text without' : 'no';
  throw new BadExample(
    'invocation_missing',
    `has ${which} invocation ${show(tokenizer.decode(invocation))}, the tokens ${invocation.join(', ')} (alora_invocation_tokens), before its last token: the adapter is active only from there on, and would learn nothing from it`,
  );
}

import { mostSeqLength } from '../../config/index.ts';
import { type ErrorDetail, GraftError } from '../../errors.ts';
import { outlineOf, type TaskType } from '../../outlines/index.ts';
import type { Tokenizer } from '../../text/index.ts';
import { MAX_LISTED_FAULTS } from '../bad-lines.ts';
import { type FormatName, formatOf, type RawExample } from '../formats/formats.ts';
import { createJsonlChecker } from '../jsonl.ts';
import { ExampleTokenizer, lengthOf } from '../tokenize-examples.ts';
import { NO_TARGET } from '../training-example.ts';
import { DistinctCounter } from './distinct-counter.ts';
import { LengthCounts, type LengthSummary } from './length-counts.ts';
import { type ExamplePreview, previewOf } from './preview.ts';

/** Examples that are shown as tokens. */
const PREVIEWS = 3;
/** Lines of one kind, such as duplicates, that are listed. */
const MOST_LISTED = 100;
/** Characters of what is said of one line. */
const MOST_MESSAGE = 500;
const NEWLINE = 0x0a;

/** What a data file holds, as it travels. Lists of lines have a hundred at most; counts are of all. */
export interface ExampleReport {
  format: FormatName | null;
  /** Empty ones included. */
  lines: number;
  examples: number;
  /** Lines that are no examples, or that the model cannot learn from. */
  bad_lines: { count: number; listed: (Omit<ErrorDetail, 'path'> & { line: number })[] };
  /** Examples that an earlier line has, word for word. `exact`: false when there are too many to tell one by one. */
  duplicates: { count: number; exact: boolean; listed: { line: number; first_line: number }[] };
  /** Null: no model was named. */
  tokens: TokenReport | null;
}

interface TokenReport {
  task: TaskType;
  /** Of all examples together, as training counts them in one epoch. */
  total: number;
  /** Tokens that the loss is computed on; null where it is not computed on tokens. */
  learnt: number | null;
  /** Of an example: its tokens, or those of its longest text where texts are compared or turned into others. */
  lengths: LengthSummary | null;
  max_seq_length: number;
  /** Examples longer than that. A job refuses, cuts or skips them, as its option `overlong` says. */
  too_long: { count: number; listed: { line: number; tokens: number }[] };
  /** In the content of messages, in prompts and in completions, where they are plain text by default. */
  special_tokens: { count: number; listed: { line: number; count: number }[] };
  preview: ExamplePreview[];
}

/** The base model whose tokens are counted. */
export interface ReportedModel {
  tokenizer: Tokenizer;
  /** Its config.json. */
  config: Record<string, unknown>;
  /** Null: the most that training takes by default, the model's context. */
  maxSeqLength: number | null;
}

export interface ExampleReporter {
  /** Takes the next bytes of the file, cut anywhere. Throws what is wrong with the model or does not fit it: GraftError. */
  write(chunk: Uint8Array): void;
  examples(): number;
  end(): ExampleReport;
}

/** Reports on a data file while it is read; holds one line of it and bounded counts. */
export function createExampleReporter(model: ReportedModel | null): ExampleReporter {
  const distinct = new DistinctCounter();
  const repeated: ExampleReport['duplicates']['listed'] = [];
  let tokens: TokenCounter | null = null;
  let format: FormatName | null = null;
  let examples = 0;
  let newlines = 0;
  let endsWithNewline = true;
  let bad = 0;
  const onBadLine = () => bad++;

  const checker = createJsonlChecker((raw) => {
    examples++;
    format ??= raw.format;
    if (model) tokens ??= new TokenCounter(model, raw.format, onBadLine);
    const { line, ...content } = raw;
    const first = distinct.add(JSON.stringify(content), line);
    if (first !== null && repeated.length < MOST_LISTED) repeated.push({ line, first_line: first });
    tokens?.add(raw);
  }, onBadLine);

  return {
    examples: () => examples,
    write(chunk) {
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) newlines++;
      if (chunk.length > 0) endsWithNewline = chunk.at(-1) === NEWLINE;
      checker.write(chunk);
    },
    end() {
      const unread = badLinesOf(() => checker.end());
      const details = [...(unread?.details ?? []), ...(tokens?.faults() ?? [])];
      const listed = details
        .map(({ line = 0, message, count, lines }) => ({
          line,
          message: told(message),
          ...(count !== undefined && lines && { count, lines }),
        }))
        .toSorted((a, b) => a.line - b.line)
        .slice(0, MAX_LISTED_FAULTS);
      // A sample's estimate may be somewhat more than there are.
      const different = Math.min(distinct.count, examples);
      return {
        format,
        lines: newlines + (endsWithNewline ? 0 : 1),
        examples,
        bad_lines: { count: bad, listed },
        duplicates: { count: examples - different, exact: distinct.isExact, listed: repeated },
        tokens: tokens?.report() ?? null,
      };
    },
  };
}

/** What a model makes of examples of one format. */
class TokenCounter {
  readonly #tokenizer: Tokenizer;
  readonly #examples: ExampleTokenizer;
  readonly #task: TaskType;
  readonly #maxSeqLength: number;
  readonly #lengths = new LengthCounts();
  readonly #tooLong: TokenReport['too_long']['listed'] = [];
  readonly #special: TokenReport['special_tokens']['listed'] = [];
  readonly #preview: ExamplePreview[] = [];
  #total = 0;
  #learnt = 0;

  constructor({ tokenizer, config, maxSeqLength }: ReportedModel, format: FormatName, onBadLine: () => void) {
    const outline = outlineFor(config, format);
    this.#tokenizer = tokenizer;
    this.#task = outline.task;
    this.#maxSeqLength = maxSeqLength ?? mostSeqLength({ contextLength: outline.maxPositions });
    const { vocabularySize, decoderStart = null } = outline;
    this.#examples = new ExampleTokenizer(
      tokenizer,
      // Lengths are counted here, and which classes there are does not matter.
      { maxSeqLength: Number.POSITIVE_INFINITY, vocabularySize, decoderStart, classOf: () => 0 },
      onBadLine,
    );
  }

  add(raw: RawExample): void {
    const { special_tokens: before } = this.#examples.counts;
    const example = this.#examples.tokenize(raw);
    if (!example) return;
    const special = this.#examples.counts.special_tokens - before;
    if (special > 0 && this.#special.length < MOST_LISTED)
      this.#special.push({ line: raw.line, count: special });
    const length = lengthOf(raw.format, example);
    this.#total += example.tokens;
    this.#lengths.add(length);
    for (const { targets = [] } of example.sequences)
      for (const target of targets) if (target !== NO_TARGET) this.#learnt++;
    if (length > this.#maxSeqLength && this.#tooLong.length < MOST_LISTED)
      this.#tooLong.push({ line: raw.line, tokens: length });
    if (this.#preview.length < PREVIEWS) this.#preview.push(previewOf(this.#tokenizer, raw, example));
  }

  faults() {
    return this.#examples.fault()?.details ?? [];
  }

  report(): TokenReport {
    const learnsTokens = this.#task !== 'SEQ_CLS' && this.#task !== 'FEATURE_EXTRACTION';
    return {
      task: this.#task,
      total: this.#total,
      learnt: learnsTokens ? this.#learnt : null,
      lengths: this.#lengths.summary(),
      max_seq_length: this.#maxSeqLength,
      too_long: { count: this.#lengths.over(this.#maxSeqLength), listed: this.#tooLong },
      special_tokens: { count: this.#examples.counts.special_tokens, listed: this.#special },
      preview: this.#preview,
    };
  }
}

/** The model as it would be trained on such data. Throws GraftError `unsupported_task` when it cannot be. */
function outlineFor(config: Record<string, unknown>, format: FormatName) {
  let reason: unknown;
  for (const task of formatOf(format).tasks) {
    try {
      return outlineOf(config, task);
    } catch (error) {
      if (!(error instanceof GraftError) || error.code !== 'unsupported_task') throw error;
      reason ??= error;
    }
  }
  throw reason;
}

/** The fault with every line that is no example, if there is one. A file without any line is none here. */
function badLinesOf(end: () => unknown): GraftError | null {
  try {
    end();
    return null;
  } catch (error) {
    if (error instanceof GraftError && (error.details || error.code === 'empty_file')) return error;
    throw error;
  }
}

/** Messages quote users' text, and Postgres keeps no U+0000 and no halves of characters. */
function told(message: string): string {
  return Buffer.from(message.slice(0, MOST_MESSAGE).replaceAll('\0', '\\u0000')).toString();
}

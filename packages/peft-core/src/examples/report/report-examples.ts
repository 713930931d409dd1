import { isTrainedOn } from '../../chat/message.ts';
import { PART_ROLES, type PartRole } from '../../chat/message-parts.ts';
import { leadingPositions, objectiveOf, type PeftConfig, seqLengthLimit } from '../../config/index.ts';
import { type ErrorDetail, GraftError, shortened } from '../../errors.ts';
import { outlineOf, type TaskType } from '../../outlines/index.ts';
import type { Tokenizer } from '../../text/index.ts';
import { MAX_LISTED_FAULTS } from '../bad-lines.ts';
import { createDataFileChecker, type Recognised } from '../data-file.ts';
import { type ReadingOptions, tokenizeOptions } from '../example-source.ts';
import { type FormatName, formatOf, type RawExample } from '../formats/formats.ts';
import type { TokenizeOptions } from '../formats/reading.ts';
import type { ColumnMapping } from '../shapes/columns.ts';
import { checkFormat } from '../task-formats.ts';
import { type ExampleCounts, ExampleTokenizer, lengthOf, TemplateAllowance } from '../tokenize-examples.ts';
import { NO_TARGET, type Sequence, type TrainingExample } from '../training-example.ts';
import type { UnreadColumn } from '../unread-columns.ts';
import { ChatCounts, type ChatSummary } from './chat-counts.ts';
import { DistinctCounter } from './distinct-counter.ts';
import { LengthCounts, type LengthSummary } from './length-counts.ts';
import { type JudgementSummary, type PairSummary, PreferenceCounts } from './preference-counts.ts';
import { type ExamplePreview, previewOf } from './preview.ts';

const PREVIEWS = 3;
const LONGEST = 10;
/** Maximum number of lines of one kind, such as duplicates, that are listed. */
const MAX_LISTED = 100;
const MAX_MESSAGE = 500;
const NEWLINE = 0x0a;

/** Report on a data file, as sent to clients. Lists of lines have at most a hundred entries; counts cover all. */
export interface ExampleReport {
  /** Null if the file has no content. */
  recognised: Recognised | null;
  format: FormatName | null;
  /** Number of lines, including empty ones; of rows or items where the file has no lines. */
  lines: number;
  examples: number;
  /** Lines that are invalid or that the model cannot be trained on. */
  bad_lines: { count: number; listed: (Omit<ErrorDetail, 'path'> & { line: number })[] };
  /** Columns that no example read, and their values: the first hundred. */
  unread_columns: UnreadColumn[];
  /** Examples identical to an earlier line. `exact`: false if there are too many examples to compare each. */
  duplicates: { count: number; exact: boolean; listed: { line: number; first_line: number }[] };
  /** Examples of a weight other than 1, their own or that of a message; `zero`: those of weight 0, which are left out of training. */
  weights: { count: number; zero: number };
  /** Null for other formats. */
  chats: ChatSummary | null;
  /** Null for other formats than `preference`. */
  pairs: PairSummary | null;
  /** Null for other formats than `unpaired_preference`. */
  judgements: JudgementSummary | null;
  /** Null if no model was given. */
  tokens: TokenReport | null;
}

interface TokenReport {
  task: TaskType;
  /** Counts of a job of the given options in this file; undefined if no options were given. */
  counts?: ExampleCounts;
  /** Tokens of all examples together, as training counts them in one epoch. */
  total: number;
  /** Tokens that the loss is computed on; null if it is not computed on tokens. */
  learnt: number | null;
  /** Tokens per example before `overlong` applies, or of its longest text if texts are compared or converted into others. */
  lengths: LengthSummary | null;
  /** The ten longest examples, the longest first. */
  longest: { line: number; tokens: number }[];
  /** For chats and for preferences of chats; null for other data. */
  by_role: { role: PartRole; tokens: number; learnt: number }[] | null;
  max_seq_length: number;
  /** Examples longer than that. A job rejects, truncates or skips them, depending on its option `overlong`. */
  too_long: { count: number; listed: { line: number; tokens: number }[] };
  /** Special tokens in the content of messages, in prompts and in completions, where they are plain text by default. */
  special_tokens: { count: number; listed: { line: number; count: number }[] };
  preview: ExamplePreview[];
}

export interface ReportedModel {
  tokenizer: Tokenizer;
  config: Record<string, unknown>;
  /** Null: the default limit of training, the model's context. */
  maxSeqLength: number | null;
  /** The job that the report is for; absent: default options, and examples in full. */
  job?: ReportedJob | null;
}

/** Options of a planned job that decide what is read from its files, which its validation reads with, too. */
export interface ReportedJob extends ReadingOptions {
  peft: PeftConfig;
  /** `method.type` of the job. */
  method: string;
}

export interface ExampleReporter {
  /** Adds the next bytes of the file, split anywhere. Throws GraftError if the model is faulty or does not fit the file. */
  write(chunk: Uint8Array): Promise<void>;
  examples(): number;
  end(): Promise<ExampleReport>;
  /** Frees what an unfinished report holds. */
  close(): void;
}

/**
 * Reports on a data file while it is read; keeps one line of it and bounded counts in memory. `bytes` of the file, and `templateSteps`:
 * the allowance of the chat template that a job brings, see TemplateAllowance.
 */
export function createExampleReporter(
  model: ReportedModel | null,
  columns: ColumnMapping | null = null,
  { bytes = 0, templateSteps }: { bytes?: number; templateSteps?: number } = {},
): ExampleReporter {
  const distinct = new DistinctCounter();
  const repeated: ExampleReport['duplicates']['listed'] = [];
  const chats = new ChatCounts();
  const preferences = new PreferenceCounts();
  const weights = { count: 0, zero: 0 };
  // Before the first line, so that every step of the job's template counts.
  const allowance = model?.job ? new TemplateAllowance(model.tokenizer, bytes, templateSteps) : null;
  let tokens: TokenCounter | null = null;
  let format: FormatName | null = null;
  let examples = 0;
  let newlines = 0;
  let endsWithNewline = true;
  let bad = 0;
  let last = 0;
  const onBadLine = (line: number) => {
    bad++;
    last = Math.max(last, line);
  };

  const onExample = (raw: RawExample) => {
    last = Math.max(last, raw.line);
    examples++;
    format ??= raw.format;
    if (model) tokens ??= new TokenCounter(model, raw.format, { onBadLine, preferences, allowance });
    chats.add(raw);
    preferences.add(raw);
    if (isWeighted(raw)) weights.count++;
    if (raw.weight === 0) weights.zero++;
    // A line that differs only by its weight is a duplicate, too.
    const { line, weight: _, ...content } = raw;
    const first = distinct.add(JSON.stringify(content), line);
    if (first !== null && repeated.length < MAX_LISTED) repeated.push({ line, first_line: first });
    tokens?.add(raw);
  };
  const checker = createDataFileChecker({ onExample, onBadLine }, columns);

  return {
    examples: () => examples,
    async write(chunk) {
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) newlines++;
      if (chunk.length > 0) endsWithNewline = chunk.at(-1) === NEWLINE;
      await checker.write(chunk);
    },
    close: () => checker.close(),
    async end() {
      const unread = await badLinesOf(() => checker.end());
      const recognised = checker.recognised();
      const hasLines = recognised?.kind === 'jsonl' && recognised.compression === null;
      const details = [...(unread?.details ?? []), ...(tokens?.faults() ?? [])];
      const listed = details
        .map(({ line = 0, message, count, lines }) => ({
          line,
          message: shortened(message, MAX_MESSAGE),
          ...(count !== undefined && lines && { count, lines }),
        }))
        .toSorted((a, b) => a.line - b.line)
        .slice(0, MAX_LISTED_FAULTS);
      // The estimate from a sample may be slightly too high.
      const different = Math.min(distinct.count, examples);
      return {
        recognised,
        format,
        lines: hasLines ? newlines + (endsWithNewline ? 0 : 1) : last,
        examples,
        bad_lines: { count: bad, listed },
        unread_columns: checker.unread(),
        duplicates: { count: examples - different, exact: distinct.isExact, listed: repeated },
        weights,
        chats: chats.summary(tokens?.split() ?? null),
        pairs: preferences.pairs(),
        judgements: preferences.judgements(),
        tokens: tokens?.report(bad) ?? null,
      };
    },
  };
}

/** Tokenises examples of one format with a model and counts the results. */
class TokenCounter {
  readonly #tokenizer: Tokenizer;
  readonly #options: TokenizeOptions;
  readonly #examples: ExampleTokenizer;
  /** Reads the examples that a job cuts or leaves out in full, for their lengths. */
  readonly #whole: ExampleTokenizer | null;
  readonly #allowance: TemplateAllowance | null;
  readonly #task: TaskType;
  readonly #isChat: boolean;
  readonly #preferences: PreferenceCounts;
  readonly #maxSeqLength: number;
  /** Positions of a soft prompt before every example. */
  readonly #leading: number;
  readonly #lengths = new LengthCounts();
  readonly #tooLong: TokenReport['too_long']['listed'] = [];
  readonly #special: TokenReport['special_tokens']['listed'] = [];
  readonly #preview: ExamplePreview[] = [];
  #longest: TokenReport['longest'] = [];
  readonly #roles = PART_ROLES.map((role) => ({ role, tokens: 0, learnt: 0 }));
  readonly #split = { count: 0, examples: 0 };
  #total = 0;
  #learnt = 0;

  constructor(
    model: ReportedModel,
    format: FormatName,
    more: {
      onBadLine(line: number): void;
      preferences: PreferenceCounts;
      allowance: TemplateAllowance | null;
    },
  ) {
    const { tokenizer, config, job = null } = model;
    const outline = job ? outlineOf(config, job.peft.task_type) : outlineFor(config, format);
    this.#tokenizer = tokenizer;
    this.#preferences = more.preferences;
    this.#allowance = more.allowance;
    this.#isChat = formatOf(format).hasRoles ?? false;
    this.#task = outline.task;
    // The actual classes do not matter.
    const classes = { names: [], of: () => 0 };
    const { vocabularySize, decoderStart = null, maxPositions: contextLength } = outline;
    const whole = { maxSeqLength: Number.POSITIVE_INFINITY, overlong: 'error', textStride: null } as const;
    if (job) {
      checkFormat(job.peft.task_type, format);
      objectiveOf(format, job.method);
      this.#options = {
        ...tokenizeOptions({ ...job, tokenizer, modelConfig: config }, classes),
        roles: true,
      };
      this.#whole = new ExampleTokenizer(tokenizer, { ...this.#options, ...whole });
      this.#maxSeqLength = job.maxSeqLength;
      const { virtualTokens, prefixLength } = leadingPositions(job.peft);
      this.#leading = virtualTokens + prefixLength;
    } else {
      this.#options = { ...whole, vocabularySize, decoderStart, classOf: classes.of, roles: true };
      this.#whole = null;
      this.#maxSeqLength = model.maxSeqLength ?? seqLengthLimit({ contextLength });
      this.#leading = 0;
    }
    this.#examples = new ExampleTokenizer(tokenizer, this.#options, more.onBadLine);
  }

  add(raw: RawExample): void {
    const before = { ...this.#examples.counts };
    const examples = this.#examples.pieces(raw);
    this.#allowance?.check();
    const { special_tokens, truncated, skipped } = this.#examples.counts;
    const special = special_tokens - before.special_tokens;
    if (special > 0 && this.#special.length < MAX_LISTED)
      this.#special.push({ line: raw.line, count: special });
    if (this.#isChat && examples.length > 1) {
      this.#split.count++;
      this.#split.examples += examples.length;
    }
    const isCut = truncated + skipped > before.truncated + before.skipped;
    const isWhole =
      !isCut && examples.length > 0 && !(examples.length > 1 && formatOf(raw.format).splitsTexts);
    for (const whole of isWhole ? examples : this.#wholeOf(raw))
      this.#addLength(raw.line, lengthOf(raw.format, whole));
    for (const [index, example] of examples.entries())
      this.#addExample(raw, example, { index, count: examples.length });
  }

  /** The examples of a line before `overlong` applies. A job does not read them, so that they take nothing of its allowance. */
  #wholeOf(raw: RawExample): readonly TrainingExample[] {
    const whole = this.#whole;
    return whole ? this.#allowance!.without(() => whole.pieces(raw)) : [];
  }

  #addLength(line: number, tokens: number): void {
    this.#lengths.add(tokens);
    if (tokens > this.#maxSeqLength - this.#leading && this.#tooLong.length < MAX_LISTED)
      this.#tooLong.push({ line, tokens });
    this.#addLongest({ line, tokens });
  }

  #addExample(raw: RawExample, example: TrainingExample, place: { index: number; count: number }): void {
    this.#total += example.tokens;
    for (const sequence of example.sequences) this.#addSequence(sequence);
    this.#preferences.addTokens(raw, example);
    if (this.#preview.length === PREVIEWS) return;
    const preview = () => previewOf(this.#tokenizer, raw, example, { ...place, options: this.#options });
    this.#preview.push(this.#allowance ? this.#allowance.without(preview) : preview());
  }

  #addSequence({ targets = new Int32Array(), roles }: Sequence): void {
    for (const target of targets) if (target !== NO_TARGET) this.#learnt++;
    if (!roles) return;
    for (const [at, role] of roles.entries()) {
      const counts = this.#roles[role]!;
      counts.tokens++;
      // Position t predicts token t + 1.
      if (at > 0 && targets[at - 1] !== NO_TARGET) counts.learnt++;
    }
  }

  #addLongest(example: { line: number; tokens: number }): void {
    if (this.#longest.length === LONGEST && example.tokens <= this.#longest.at(-1)!.tokens) return;
    this.#longest = [...this.#longest, example].toSorted((a, b) => b.tokens - a.tokens).slice(0, LONGEST);
  }

  /** Null for other formats than chats. */
  split(): ChatSummary['split'] {
    return this.#isChat ? this.#split : null;
  }

  faults() {
    return this.#examples.fault()?.details ?? [];
  }

  #byRole(): TokenReport['by_role'] {
    const counted = this.#roles.filter(({ tokens }) => tokens > 0);
    // Formats of chats may have plain texts, too, whose tokens have no roles.
    return this.#isChat && (counted.length > 0 || this.#total === 0) ? counted : null;
  }

  /** `bad`: number of bad lines. */
  report(bad: number): TokenReport {
    const { counts } = this.#examples;
    const learnsTokens = this.#task !== 'SEQ_CLS' && this.#task !== 'FEATURE_EXTRACTION';
    return {
      task: this.#task,
      ...(this.#whole && { counts: bad > 0 ? { ...counts, bad_lines: bad } : counts }),
      total: this.#total,
      learnt: learnsTokens ? this.#learnt : null,
      lengths: this.#lengths.summary(),
      longest: this.#longest,
      by_role: this.#byRole(),
      max_seq_length: this.#maxSeqLength,
      too_long: { count: this.#lengths.over(this.#maxSeqLength - this.#leading), listed: this.#tooLong },
      special_tokens: { count: counts.special_tokens, listed: this.#special },
      preview: this.#preview,
    };
  }
}

/** Returns true if an example, or a message that is trained on, has a weight other than 1. */
function isWeighted(raw: RawExample): boolean {
  if (raw.weight !== undefined) return true;
  return 'messages' in raw && raw.messages.some((each) => isTrainedOn(each) && (each.weight ?? 1) !== 1);
}

/** The model for training on such data. Throws GraftError `unsupported_task` if that is impossible. */
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

/** The error that lists the invalid lines, if any. A file without lines is not an error here. */
async function badLinesOf(end: () => Promise<unknown>): Promise<GraftError | null> {
  try {
    await end();
    return null;
  } catch (error) {
    if (error instanceof GraftError && (error.details || error.code === 'empty_file')) return error;
    throw error;
  }
}

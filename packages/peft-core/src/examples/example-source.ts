import type { ChatTraining, OnBadLines, PeftConfig, ResolvedTraining } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { outlineOf, ownLabels } from '../outlines/index.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import type { Tokenizer } from '../text/index.ts';
import { invocationOf, leadingPositions } from '../tuners/methods.ts';
import { badLines } from './bad-lines.ts';
import type { ClassWeights } from './class-weights.ts';
import type { DataFiles } from './data-files.ts';
import type { Contrast } from './formats/format.ts';
import type { ClassOf, TokenizeOptions } from './formats/reading.ts';
import { classesBy, type LabelCollector } from './label-names.ts';
import type { ColumnMapping } from './shapes/columns.ts';
import type { ExampleCounts } from './tokenize-examples.ts';

/** Everything that determines the examples of a job's data files. */
export interface ExampleSource extends DataFiles {
  /** Which columns of the files the fields are in; null: as recognised. Default null. */
  columns?: ColumnMapping | null;
  /** Treatment of lines that cannot be used. Default fail. */
  onBadLines?: OnBadLines;
  /** Maximum number of skipped lines in a file. */
  maxBadLines?: number;
  tokenizer: Tokenizer;
  modelConfig: Record<string, unknown>;
  peft: PeftConfig;
  maxSeqLength: number;
  overlong?: ResolvedTraining['overlong'];
  allowSpecialTokens?: boolean;
  templateKwargs?: TemplateKwargs;
  /** Assistant messages of a conversation that count towards the loss. Default all_assistant. */
  trainOn?: ChatTraining['train_on'];
  /** Excludes reasoning from the loss. Default false. */
  maskReasoning?: boolean;
  /** Number of tokens that a piece of a long text repeats from the preceding piece. Null: long texts are not split. Default null. */
  textStride?: number | null;
  /** A text that begins with the bos token gets a second one. Default false. */
  repeatsBos?: boolean;
  /** Classes of the adapter that training starts from. By default those of the base model's own head, if it has one. */
  headLabels?: readonly string[] | null;
  /** The negatives of pairs without a `negative`; absent: pairs without training effect are accepted. */
  contrast?: Contrast | undefined;
  /** Texts to embed have these before them, by column. Default none. */
  prompts?: Readonly<Record<string, string>>;
  /** Steps that the chat template may take for any files, see TemplateAllowance. */
  templateSteps?: number;
  /** Class weights of a classifier: the named classes must exist in the data. */
  classWeights?: ClassWeights;
}

/** How a job's examples are read: the part of an ExampleSource that depends on its training options. */
export type ReadingOptions = Required<
  Pick<
    ExampleSource,
    'maxSeqLength' | 'overlong' | 'allowSpecialTokens' | 'templateKwargs' | 'textStride' | 'repeatsBos'
  >
> &
  Pick<
    ExampleSource,
    | ('contrast' | 'classWeights' | 'columns' | 'onBadLines' | 'maxBadLines')
    | ('trainOn' | 'maskReasoning' | 'prompts')
  >;

/** A job of an earlier version, which lacks later options, is read as that version did. */
export function readingOptions(
  training: Pick<ResolvedTraining, 'max_seq_length'> &
    Partial<
      Pick<
        ResolvedTraining,
        | 'overlong'
        | 'allow_special_tokens'
        | 'text_stride'
        | 'batch_size'
        | 'mini_batch_size'
        | ('chat_template_kwargs' | 'train_on' | 'mask_reasoning')
        | 'class_weights'
        | ('columns' | 'on_bad_lines' | 'max_bad_lines' | 'prompts')
      >
    >,
): ReadingOptions {
  const { max_seq_length, overlong = 'error', allow_special_tokens = true, text_stride = null } = training;
  const { class_weights, columns, train_on, mask_reasoning, prompts } = training;
  const { on_bad_lines: onBadLines, max_bad_lines: maxBadLines } = training;
  const templateKwargs = training.chat_template_kwargs ?? {};
  const contrast = training.batch_size === 1 ? 'negatives' : 'batch';
  return {
    maxSeqLength: max_seq_length,
    overlong,
    allowSpecialTokens: allow_special_tokens,
    templateKwargs,
    textStride: text_stride,
    repeatsBos: text_stride === null,
    ...(training.mini_batch_size === undefined ? {} : { contrast }),
    ...(class_weights ? { classWeights: class_weights } : {}),
    ...(train_on ? { trainOn: train_on } : {}),
    ...(mask_reasoning ? { maskReasoning: mask_reasoning } : {}),
    ...(columns ? { columns } : {}),
    ...(prompts ? { prompts } : {}),
    ...(onBadLines ? { onBadLines } : {}),
    ...(maxBadLines ? { maxBadLines } : {}),
  };
}

export interface Classes {
  names: readonly string[];
  of: ClassOf;
}

export function tokenizeOptions(
  source: Omit<ExampleSource, keyof DataFiles>,
  classes: Classes | null,
): TokenizeOptions {
  const { modelConfig, peft, maxSeqLength, overlong = 'error' } = source;
  const { allowSpecialTokens = false, templateKwargs = {}, textStride = null, repeatsBos = false } = source;
  const { trainOn = 'all_assistant', maskReasoning = false, prompts = {} } = source;
  const { vocabularySize, decoderStart = null } = outlineOf(modelConfig, peft.task_type);
  const { virtualTokens, prefixLength } = leadingPositions(peft);
  return {
    maxSeqLength,
    overlong,
    allowSpecialTokens,
    templateKwargs,
    textStride,
    repeatsBos,
    trainOn,
    maskReasoning,
    prompts,
    vocabularySize,
    decoderStart,
    leading: virtualTokens + prefixLength,
    invocation: invocationOf(peft),
    ...(classes ? { classOf: classes.of } : {}),
  };
}

/** The classes for these labels in training. Throws `invalid_labels`. */
export function classesOf(
  { modelConfig, peft, headLabels = null }: ExampleSource,
  labels: LabelCollector,
): Classes {
  const names = labels.namesFor(headLabels ?? ownLabels(modelConfig, peft.task_type));
  return { names, of: classesBy(names) };
}

/** Combines the faults of a file's `bad` lines, or rows (`unit`), into one error; null without faults. */
export function faultOfLines(
  faults: readonly (GraftError | null)[],
  bad: number,
  unit = 'line',
): GraftError | null {
  const [first, ...more] = faults.filter((fault) => fault !== null);
  if (!first) return null;
  const details = [first, ...more]
    .flatMap((fault) => fault.details ?? [])
    .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
  return badLines(first.code, details, bad, unit);
}

/** The error if no example is left to train on or to measure. */
export function noneLeft({ skipped, zero_weight = 0 }: ExampleCounts, maxSeqLength: number): GraftError {
  if (zero_weight > 0) {
    const others = skipped > 0 ? ` or is longer than max_seq_length, ${maxSeqLength} tokens` : '';
    const message = `every example has "weight" 0${others}; give some of them a weight greater than 0`;
    return new GraftError('example_empty', message);
  }
  return new GraftError(
    'example_too_long',
    `every example is longer than max_seq_length, ${maxSeqLength} tokens, and no target token is left; set training.max_seq_length, or make them shorter`,
  );
}

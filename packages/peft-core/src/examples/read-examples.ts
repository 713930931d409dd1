import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { type ErrorDetail, GraftError } from '../errors.ts';
import { isClassifier } from '../outlines/index.ts';
import { checkClassWeights } from './class-weights.ts';
import type { Container } from './containers/container.ts';
import { checkDataFile, type DataFileSummary } from './data-file.ts';
import { attributeErrors, type DataFile, filesOf, formatMismatch, type NamedFile } from './data-files.ts';
import {
  type Classes,
  classesOf,
  type ExampleSource,
  faultOfLines,
  noneLeft,
  tokenizeOptions,
} from './example-source.ts';
import type { FileCheck } from './formats/format.ts';
import { type FormatName, formatOf, type RawExample } from './formats/formats.ts';
import { LabelCollector } from './label-names.ts';
import { checkFormat } from './task-formats.ts';
import { type ExampleCounts, ExampleTokenizer, noCounts, TemplateAllowance } from './tokenize-examples.ts';
import type { TrainingExample } from './training-example.ts';
import type { UnreadColumn } from './unread-columns.ts';

/** Callbacks while the files are read. No example is kept. */
export interface ExampleListener {
  /** `index`: the number of the file among those with the same role, from 0. */
  onExample?(example: TrainingExample, file: DataFile, raw: RawExample, index: number): void;
  /** Every unusable line, in order, including those beyond the limit of the error's list. */
  onBadLine?(line: number): void;
  /** Called after every chunk with the bytes processed so far, and the total bytes of the files. */
  onBytes?(bytes: number, totalBytes: number): void;
}

/** Bad lines of a file with the same fault, which were skipped. */
export interface SkippedLines extends Pick<ErrorDetail, 'line' | 'message' | 'count' | 'lines'> {
  /** The file, as the request names it: `training_file`, or `training_files[1]`. */
  param: string;
}

export interface UnreadColumnOf extends UnreadColumn {
  /** The file, as the request names it: `training_file`, or `training_files[1]`. */
  param: string;
}

export interface ExampleSummary {
  format: FormatName;
  /** Names of a classifier's classes, in order; null for other tasks. */
  labels: readonly string[] | null;
  /** SHA-256 of the concatenated files. */
  digest: string;
  /** Sums over all files with a role. */
  counts: Record<DataFile, ExampleCounts>;
  /** Counts by file, in order. */
  fileCounts: Record<DataFile, ExampleCounts[]>;
  badLines: SkippedLines[];
  unreadColumns: UnreadColumnOf[];
}

/**
 * Reads, checks and tokenises a job's files line by line, for validation, training and verification alike. A classifier keeps the
 * classes of its existing head if that has every label; else it has one class for each label of the training files.
 * Throws GraftError with `param` set to the file (or `model`), listing all its bad lines with all kinds of faults: the errors of
 * `checkDataFile` and `ExampleTokenizer`, `data_unfit_for_task`, `invalid_labels`; and those of the format's `FileCheck`.
 */
export async function readExamples(
  source: ExampleSource,
  listener: ExampleListener = {},
): Promise<ExampleSummary> {
  const { peft } = source;
  const files = [...filesOf(source, 'training_file'), ...filesOf(source, 'validation_file')];
  const hasClasses = isClassifier(peft.task_type);
  const progress = await Progress.of(files, hasClasses ? 2 : 1, listener);
  const allowance = new TemplateAllowance(source.tokenizer, progress.totalBytes, source.templateSteps);
  const classes = hasClasses ? await classNames(source, progress) : null;
  const { classWeights } = source;
  // Without names the labels themselves are invalid, which the second reading reports.
  if (classes && classes.names.length > 0 && classWeights) checkClassWeights(classWeights, classes.names);
  const options = tokenizeOptions(source, classes);
  const hash = createHash('sha256');
  const fileCounts: ExampleSummary['fileCounts'] = { training_file: [], validation_file: [] };
  const badLines: SkippedLines[] = [];
  const unreadColumns: UnreadColumnOf[] = [];
  let check: FileCheck | undefined;
  const tokenise = async ({ path, role, index, param }: NamedFile): Promise<FormatName> => {
    let bad = 0;
    const onBadLine = (line: number) => {
      bad++;
      listener.onBadLine?.(line);
    };
    const examples = new ExampleTokenizer(source.tokenizer, options, onBadLine);
    const take = (raw: RawExample) => {
      const pieces = examples.pieces(raw);
      allowance.check();
      for (const example of pieces) {
        if (role === 'training_file') {
          check ??= formatOf(raw.format).fileCheck?.();
          check?.add(example);
        }
        listener.onExample?.(example, role, raw, index);
      }
    };
    const onBytes = (bytes: Uint8Array) => {
      hash.update(bytes);
      progress.add(bytes.length, role);
    };
    const read = await readLines(path, source, { take, onBytes, onBadLine });
    const fault = faultOfLines([read.fault, examples.fault()], bad, read.unit);
    if (fault) {
      if (!read.summary) throw fault;
      checkSkipped(source, fault, bad, read.unit);
      examples.counts.bad_lines = bad;
      for (const { line = 0, message, count, lines } of fault.details ?? [])
        badLines.push({ param, line, message, ...(count !== undefined && lines && { count, lines }) });
    }
    fileCounts[role].push(examples.counts);
    if (examples.counts.examples === 0) throw noneLeft(examples.counts, source.maxSeqLength);
    unreadColumns.push(...read.summary!.unread.map((each) => ({ param, ...each })));
    return read.summary!.format;
  };
  let first: { file: NamedFile; format: FormatName } | undefined;
  for (const file of files) {
    const format = await attributeErrors(file, () => tokenise(file));
    first ??= { file, format };
    if (format !== first.format) throw formatMismatch({ file, format }, first);
  }
  if (source.contrast) check?.check(source.contrast);
  return {
    format: first!.format,
    labels: classes?.names ?? null,
    digest: hash.digest('hex'),
    counts: {
      training_file: sumOf(fileCounts.training_file),
      validation_file: sumOf(fileCounts.validation_file),
    },
    fileCounts,
    badLines,
    unreadColumns,
  };
}

/** Throws the fault of `bad` lines unless they may be skipped. */
function checkSkipped(
  { onBadLines, maxBadLines = 0 }: ExampleSource,
  fault: GraftError,
  bad: number,
  unit: string,
): void {
  if (onBadLines !== 'skip') throw fault;
  if (bad <= maxBadLines) return;
  const { code, message, details = [] } = fault;
  const text = `has ${bad} bad ${unit}s, and max_bad_lines is ${maxBadLines}: ${message}`;
  throw new GraftError(code, text, { details });
}

function sumOf(counts: readonly ExampleCounts[]): ExampleCounts {
  const sum = noCounts();
  for (const each of counts)
    for (const key of Object.keys(each) as (keyof ExampleCounts)[])
      sum[key] = (sum[key] ?? 0) + (each[key] ?? 0);
  return sum;
}

/** Progress of reading. Each file counts once, although a classifier's training files are read twice. */
class Progress {
  readonly totalBytes: number;
  readonly #passes: number;
  readonly #listener: ExampleListener;
  #bytes = 0;

  private constructor(totalBytes: number, passes: number, listener: ExampleListener) {
    this.totalBytes = totalBytes;
    this.#passes = passes;
    this.#listener = listener;
  }

  static async of(files: readonly NamedFile[], passes: number, listener: ExampleListener): Promise<Progress> {
    const sizes = await Promise.all(files.map(async ({ path }) => (await stat(path)).size));
    return new Progress(
      sizes.reduce((sum, size) => sum + size, 0),
      passes,
      listener,
    );
  }

  add(bytes: number, file: DataFile): void {
    this.#bytes += file === 'training_file' ? bytes / this.#passes : bytes;
    this.#listener.onBytes?.(Math.floor(this.#bytes), this.totalBytes);
  }
}

/**
 * A classifier's classes. They must be known before the first label is encoded, so the training files are read twice. The second
 * reading reports invalid lines.
 */
async function classNames(source: ExampleSource, progress: Progress): Promise<Classes> {
  const labels = new LabelCollector();
  const files = filesOf(source, 'training_file');
  let hasFault = false;
  for (const file of files) {
    const { fault } = await attributeErrors(file, () =>
      readLines(file.path, source, {
        take: (example) => labels.add(example),
        onBytes: (bytes) => progress.add(bytes.length, 'training_file'),
      }),
    );
    hasFault ||= fault !== null;
  }
  const param = files.length > 1 ? 'training_files' : files[0]!.param;
  return await attributeErrors({ param, prefix: '' }, async () => {
    try {
      return classesOf(source, labels);
    } catch (error) {
      if (!hasFault) throw error;
      // Labels may be missing because of the invalid lines.
      return { names: [], of: () => 0 };
    }
  });
}

interface LineListener {
  take(example: RawExample): void;
  onBytes(bytes: Uint8Array): void;
  onBadLine?(line: number): void;
}

/** `fault`: the error that lists the invalid lines. Throws `empty_file` and `data_unfit_for_task`. */
async function readLines(
  path: string,
  { peft, columns = null, onBadLines = 'fail' }: ExampleSource,
  { take, onBytes, onBadLine }: LineListener,
): Promise<{ summary: DataFileSummary | null; fault: GraftError | null; unit: string }> {
  let unit = 'line';
  const listener = {
    onContainer: (container: Container) => {
      unit = container.unit;
    },
    onExample(example: RawExample) {
      checkFormat(peft.task_type, example.format);
      take(example);
    },
    onBytes,
    ...(onBadLine && { onBadLine }),
  };
  try {
    const summary = await checkDataFile(path, listener, columns, onBadLines);
    return { summary, fault: summary.skipped, unit };
  } catch (error) {
    if (error instanceof GraftError && error.details) return { summary: null, fault: error, unit };
    throw error;
  }
}

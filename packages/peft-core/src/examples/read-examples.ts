import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { PeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { isClassifier, outlineOf, ownLabels } from '../outlines/index.ts';
import type { Tokenizer } from '../text/index.ts';
import { leadingPositions } from '../tuners/methods.ts';
import { badLines, createJsonlChecker, type DatasetSummary, MAX_LISTED_LINES } from './jsonl.ts';
import { type ClassOf, classesBy, LabelCollector } from './label-names.ts';
import type { DatasetFormat, RawExample } from './raw-example.ts';
import { checkFormat } from './task-formats.ts';
import { ExampleTokenizer, type TokenizeOptions } from './tokenize-examples.ts';
import type { TrainingExample } from './training-example.ts';

/** Everything that decides what a job's data files become. */
export interface ExampleSource {
  trainingFile: string;
  validationFile?: string | null;
  tokenizer: Tokenizer;
  /** The base model's config.json. */
  modelConfig: Record<string, unknown>;
  peft: PeftConfig;
  maxSeqLength: number;
  /** Classes of the adapter that training starts from. By default those of the base model's own head, if it has one. */
  headLabels?: readonly string[] | null;
}

export type DataFile = 'training_file' | 'validation_file';

/** Called while the files are read. No example is kept. */
export interface ExampleListener {
  onExample?(example: TrainingExample, file: DataFile): void;
  /** Every line that cannot be used, in order, past those that the error lists. */
  onBadLine?(line: number): void;
  /** Bytes that are done, of all bytes of the files, after every piece that was read. */
  onBytes?(bytes: number, totalBytes: number): void;
}

export interface ExampleSummary {
  format: DatasetFormat;
  /** Names of a classifier's classes, in order; null for other tasks. */
  labels: readonly string[] | null;
  /** SHA-256 of the files' bytes, one after the other. */
  digest: string;
}

/**
 * Reads, checks and tokenises a job's files line by line, for validation, training and verification alike. A classifier keeps the
 * classes of the head that is there when every label is among them; else it has one class for each label of the training file.
 * Throws GraftError, with `param` naming the file (or `model`) and every bad line of it at once, whatever is wrong with each: what
 * `createJsonlChecker` and `ExampleTokenizer` throw, `data_unfit_for_task`, `invalid_labels`.
 */
export async function readExamples(
  source: ExampleSource,
  listener: ExampleListener = {},
): Promise<ExampleSummary> {
  const { trainingFile, validationFile, peft } = source;
  const hasClasses = isClassifier(peft.task_type);
  const progress = await Progress.of(source, hasClasses ? 2 : 1, listener);
  const classes = hasClasses ? await classNames(source, progress) : null;
  const options = tokenizeOptions(source, classes);
  const hash = createHash('sha256');
  const tokenise = async (path: string, file: DataFile): Promise<DatasetFormat> =>
    naming(file, async () => {
      let bad = 0;
      const onBadLine = (line: number) => {
        bad++;
        listener.onBadLine?.(line);
      };
      const examples = new ExampleTokenizer(source.tokenizer, options, onBadLine);
      const take = (raw: RawExample) => {
        const example = examples.tokenize(raw);
        if (example) listener.onExample?.(example, file);
      };
      const onBytes = (bytes: Uint8Array) => {
        hash.update(bytes);
        progress.add(bytes.length, file);
      };
      const read = await readLines(path, source, { take, onBytes, onBadLine });
      const faulty = [read.fault, examples.fault()].filter((fault) => fault !== null);
      if (faulty.length === 0) return read.summary!.format;
      const details = faulty
        .flatMap((fault) => fault.details ?? [])
        .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
      throw badLines(faulty[0]!.code, details.slice(0, MAX_LISTED_LINES), bad);
    });
  const format = await tokenise(trainingFile, 'training_file');
  const other = validationFile ? await tokenise(validationFile, 'validation_file') : format;
  if (other !== format)
    throw new GraftError(
      'invalid_jsonl',
      `the validation file has ${other} examples, the training file ${format} examples`,
      { param: 'validation_file' },
    );
  return { format, labels: classes?.names ?? null, digest: hash.digest('hex') };
}

/** How much of the files is done, each counted once though a classifier's training file is read twice. */
class Progress {
  readonly #totalBytes: number;
  readonly #passes: number;
  readonly #listener: ExampleListener;
  #bytes = 0;

  private constructor(totalBytes: number, passes: number, listener: ExampleListener) {
    this.#totalBytes = totalBytes;
    this.#passes = passes;
    this.#listener = listener;
  }

  static async of(source: ExampleSource, passes: number, listener: ExampleListener): Promise<Progress> {
    const paths = [source.trainingFile, source.validationFile].filter((path) => typeof path === 'string');
    const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
    return new Progress(
      sizes.reduce((sum, size) => sum + size, 0),
      passes,
      listener,
    );
  }

  add(bytes: number, file: DataFile): void {
    this.#bytes += file === 'training_file' ? bytes / this.#passes : bytes;
    this.#listener.onBytes?.(Math.floor(this.#bytes), this.#totalBytes);
  }
}

function tokenizeOptions(
  { modelConfig, peft, maxSeqLength }: ExampleSource,
  classes: Classes | null,
): TokenizeOptions {
  const { vocabularySize, decoderStart = null } = outlineOf(modelConfig, peft.task_type);
  const { virtualTokens, prefixLength } = leadingPositions(peft);
  return {
    ...{ maxSeqLength, vocabularySize, decoderStart },
    leading: virtualTokens + prefixLength,
    ...(classes ? { classOf: classes.of } : {}),
  };
}

interface Classes {
  names: readonly string[];
  of: ClassOf;
}

/**
 * A classifier's classes. They must be known before the first label is read, so the training file is read twice. Lines that are
 * no examples are reported by the second reading.
 */
function classNames(source: ExampleSource, progress: Progress): Promise<Classes> {
  const { trainingFile, modelConfig, peft, headLabels = null } = source;
  return naming('training_file', async () => {
    const labels = new LabelCollector();
    const { fault } = await readLines(trainingFile, source, {
      take: (example) => labels.add(example),
      onBytes: (bytes) => progress.add(bytes.length, 'training_file'),
    });
    try {
      const names = labels.namesFor(headLabels ?? ownLabels(modelConfig, peft.task_type));
      return { names, of: classesBy(names) };
    } catch (error) {
      if (!fault) throw error;
      // The labels may be at fault because lines are missing.
      return { names: [], of: () => 0 };
    }
  });
}

interface LineListener {
  take(example: RawExample): void;
  onBytes(bytes: Uint8Array): void;
  onBadLine?(line: number): void;
}

/** `fault`: the error with the lines that are no examples. Throws `empty_file` and `data_unfit_for_task`. */
async function readLines(
  path: string,
  { peft }: ExampleSource,
  { take, onBytes, onBadLine }: LineListener,
): Promise<{ summary: DatasetSummary | null; fault: GraftError | null }> {
  const reader = createJsonlChecker((example) => {
    checkFormat(peft.task_type, example.format);
    take(example);
  }, onBadLine);
  for await (const chunk of createReadStream(path, { highWaterMark: 64 * 1024 })) {
    reader.write(chunk);
    onBytes(chunk);
  }
  try {
    return { summary: reader.end(), fault: null };
  } catch (error) {
    if (error instanceof GraftError && error.details) return { summary: null, fault: error };
    throw error;
  }
}

/** Runs `body`, whose faults are those of `file`, unless they are the base model's. */
async function naming<T>(file: DataFile, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, fault, details, param } = error;
    throw new GraftError(code, message, {
      param: param === 'model' ? param : file,
      fault,
      cause: error,
      ...(details ? { details } : {}),
    });
  }
}

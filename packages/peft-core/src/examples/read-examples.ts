import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { PeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { isClassifier, outlineOf, ownLabels } from '../outlines/index.ts';
import type { Tokenizer } from '../text/index.ts';
import { leadingPositions } from '../tuners/methods.ts';
import { createJsonlChecker, type DatasetSummary } from './jsonl.ts';
import { classesBy, LabelCollector } from './label-names.ts';
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
}

export interface ExampleSummary {
  format: DatasetFormat;
  /** Names of a classifier's classes, in order; null for other tasks. */
  labels: readonly string[] | null;
  /** SHA-256 of the files' bytes, one after the other. */
  digest: string;
}

/**
 * Reads, checks and tokenises a job's files line by line, for validation, training and verification alike. A classifier keeps the classes of the head that is there when every label is among them; else it has one class for
 * each label of the training file. Throws GraftError, with `param` naming the file (or `model`) and every bad line of it at once: what
 * `createJsonlChecker` and `ExampleTokenizer` throw, `data_unfit_for_task`, `invalid_labels`.
 */
export async function readExamples(
  source: ExampleSource,
  listener: ExampleListener = {},
): Promise<ExampleSummary> {
  const { trainingFile, validationFile, peft } = source;
  const labels = isClassifier(peft.task_type) ? await classNames(source, listener.onBadLine) : null;
  const options = tokenizeOptions(source, labels);
  const hash = createHash('sha256');
  const tokenise = async (path: string, file: DataFile): Promise<DatasetFormat> =>
    naming(file, async () => {
      const examples = new ExampleTokenizer(source.tokenizer, options, listener.onBadLine);
      const take = (raw: RawExample) => {
        const example = examples.tokenize(raw);
        if (example) listener.onExample?.(example, file);
      };
      const onBytes = (bytes: Uint8Array) => hash.update(bytes);
      const { format } = await readLines(path, source, { take, onBytes, onBadLine: listener.onBadLine });
      examples.end();
      return format;
    });
  const format = await tokenise(trainingFile, 'training_file');
  const other = validationFile ? await tokenise(validationFile, 'validation_file') : format;
  if (other !== format)
    throw new GraftError(
      'invalid_jsonl',
      `the validation file has ${other} examples, the training file ${format} examples`,
      { param: 'validation_file' },
    );
  return { format, labels, digest: hash.digest('hex') };
}

function tokenizeOptions(
  { modelConfig, peft, maxSeqLength }: ExampleSource,
  labels: readonly string[] | null,
): TokenizeOptions {
  const { vocabularySize, decoderStart = null } = outlineOf(modelConfig, peft.task_type);
  const { virtualTokens, prefixLength } = leadingPositions(peft);
  return {
    ...{ maxSeqLength, vocabularySize, decoderStart },
    leading: virtualTokens + prefixLength,
    ...(labels ? { classOf: classesBy(labels) } : {}),
  };
}

/** A classifier's classes. They must be known before the first label is read, so the training file is read twice. */
function classNames(
  source: ExampleSource,
  onBadLine: ExampleListener['onBadLine'],
): Promise<readonly string[]> {
  const { trainingFile, modelConfig, peft, headLabels = null } = source;
  return naming('training_file', async () => {
    const labels = new LabelCollector();
    await readLines(trainingFile, source, { take: (example) => labels.add(example), onBadLine });
    return labels.namesFor(headLabels ?? ownLabels(modelConfig, peft.task_type));
  });
}

async function readLines(
  path: string,
  { peft }: ExampleSource,
  {
    take,
    onBytes,
    onBadLine,
  }: {
    take(example: RawExample): void;
    onBytes?(bytes: Uint8Array): void;
    onBadLine?: ((line: number) => void) | undefined;
  },
): Promise<DatasetSummary> {
  const reader = createJsonlChecker((example) => {
    checkFormat(peft.task_type, example.format);
    take(example);
  }, onBadLine);
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    onBytes?.(chunk);
    reader.write(chunk);
  }
  return reader.end();
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

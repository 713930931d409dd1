import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type PeftConfig, type ResolvedTraining, validationCount } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import {
  checkFormat,
  classesBy,
  type DatasetFormat,
  LabelCollector,
  parseJsonl,
  type RawExample,
  type TrainingExample,
  tokenizeExamples,
} from '../examples/index.ts';
import { permutation, Random } from '../random.ts';
import type { Tokenizer } from '../text/index.ts';
import { leadingPositions } from '../tuners/leading-positions.ts';

/** Tokenised training and validation examples of a job, and a digest of the files they came from. */
export interface TrainingData {
  training: TrainingExample[];
  validation: TrainingExample[];
  digest: string;
  format: DatasetFormat;
  /** Names of a classifier's classes, in order; null for other tasks. */
  labels: readonly string[] | null;
}

export interface DataOptions {
  tokenizer: Tokenizer;
  trainingFile: string;
  validationFile?: string | null | undefined;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** Rows of the base model's embedding table. */
  vocabularySize: number;
  /** The token that an encoder-decoder's decoder begins with; null for other models. */
  decoderStart: number | null;
  /** Classes of the base model's own head for the task, if it has one. */
  baseLabels: string[] | null;
}

/**
 * Reads, checks and tokenises a job's files. A classifier has the base model's classes where these fit the data, or one for each
 * label of the training file. Throws the dataset's own GraftErrors, every bad line at once.
 */
export async function readTrainingData(options: DataOptions): Promise<TrainingData> {
  const { tokenizer, trainingFile, validationFile, peft, training } = options;
  const hash = createHash('sha256');
  const read = async (file: string, param: string) => {
    const bytes = await readFile(file);
    hash.update(bytes);
    return naming(param, () => {
      const { format, examples } = parseJsonl(bytes);
      checkFormat(peft.task_type, format);
      return { format, examples };
    });
  };
  const raw = await read(trainingFile, 'training_file');
  const labels = naming('training_file', () => labelNames(raw.examples, options.baseLabels));
  const { virtualTokens, prefixLength } = leadingPositions(peft);
  const tokenized = (examples: RawExample[], param: string) =>
    naming(param, () =>
      tokenizeExamples(tokenizer, examples, {
        maxSeqLength: training.max_seq_length,
        leading: virtualTokens + prefixLength,
        vocabularySize: options.vocabularySize,
        decoderStart: options.decoderStart,
        ...(labels ? { classOf: classesBy(labels) } : {}),
      }),
    );
  const examples = tokenized(raw.examples, 'training_file');
  const common = { format: raw.format, labels };
  if (validationFile) {
    const { format, examples: validation } = await read(validationFile, 'validation_file');
    if (format !== raw.format)
      throw new GraftError(
        'invalid_jsonl',
        `the validation file has ${format} examples, the training file ${raw.format} examples`,
        { param: 'validation_file' },
      );
    const held = tokenized(validation, 'validation_file');
    return { ...common, training: examples, validation: held, digest: hash.digest('hex') };
  }
  const held = validationCount(examples.length, training.validation_split);
  const order = permutation(examples.length, new Random(training.seed, 'split'));
  const heldOut = new Set(order.subarray(0, held));
  return {
    ...common,
    training: examples.filter((_, i) => !heldOut.has(i)),
    validation: examples.filter((_, i) => heldOut.has(i)),
    digest: hash.digest('hex'),
  };
}

function labelNames(examples: RawExample[], baseLabels: string[] | null): readonly string[] | null {
  const collector = new LabelCollector();
  for (const example of examples) collector.add(example);
  return collector.empty ? null : collector.namesFor(baseLabels);
}

/** Runs `body`, whose faults are those of the file `param`. */
function naming<T>(param: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, fault, details } = error;
    throw new GraftError(code, message, { param, fault, cause: error, ...(details ? { details } : {}) });
  }
}

import { type ResolvedTraining, validationCount } from '../config/index.ts';
import { permutation, Random } from '../random.ts';
import { type DataFile, type ExampleSource, type ReadingOptions, readingOptions } from './example-source.ts';
import { type ExampleSummary, readExamples } from './read-examples.ts';
import type { TrainingExample } from './training-example.ts';

/** A job's examples in memory, and where they came from. */
export interface TrainingData extends ExampleSummary {
  training: TrainingExample[];
  validation: TrainingExample[];
}

/**
 * A job's training and validation examples. Without a validation file, `validation_split` of the training file is held out, by the
 * seed. Throws what `readExamples` throws.
 */
export async function readTrainingData(
  source: Omit<ExampleSource, keyof ReadingOptions> & { training: ResolvedTraining },
): Promise<TrainingData> {
  const { training } = source;
  const examples: Record<DataFile, TrainingExample[]> = { training_file: [], validation_file: [] };
  const summary = await readExamples(
    { ...source, ...readingOptions(training) },
    { onExample: (example, file) => examples[file].push(example) },
  );
  const all = examples.training_file;
  if (source.validationFile) return { ...summary, training: all, validation: examples.validation_file };
  return { ...summary, ...split(all, training) };
}

/** Takes `validation_split` off all examples of a training file, by the seed. */
export function split<T>(
  all: readonly T[],
  { validation_split: share, seed }: ResolvedTraining,
): { training: T[]; validation: T[] } {
  const held = validationCount(all.length, share);
  const order = permutation(all.length, new Random(seed, 'split'));
  const heldOut = new Set(order.subarray(0, held));
  return {
    training: all.filter((_, i) => !heldOut.has(i)),
    validation: all.filter((_, i) => heldOut.has(i)),
  };
}

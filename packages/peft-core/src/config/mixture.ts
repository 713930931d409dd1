/** How a job's training files are mixed: which share of each training epoch is of which file. */
import { GraftError } from '../errors.ts';
import type { MixStrategy } from '../lists.ts';

export interface FileShare {
  /** With `interleave_…`: its part of an epoch, relative to the weights of the other files. */
  weight: number;
  /** With `concat`: how often an epoch has the file; a fraction is another part of the file in each epoch. */
  epochs: number;
}

/** The files of a job that has several, or one that is not seen exactly once per epoch. */
export interface Mixture {
  strategy: MixStrategy;
  files: readonly FileShare[];
}

/** How often an epoch may have one file. */
export const MAX_REPEATS = 100;
export const WEIGHT_LIMITS = { minimum: 0.001, maximum: 1000 } as const;
export const FILE_EPOCHS_LIMITS = { minimum: 0.01, maximum: MAX_REPEATS } as const;
/** Maximum number of examples in an epoch of a mixture: each has an entry in the epoch's order. */
const MAX_EPOCH_EXAMPLES = 50_000_000;

/** The mixture of these files; null if each epoch has exactly one file once. */
export function mixtureOf(
  files: readonly Partial<FileShare>[],
  strategy: MixStrategy = 'concat',
): Mixture | null {
  const shares = files.map(({ weight = 1, epochs = 1 }) => ({ weight, epochs }));
  const [first] = shares;
  const isPlain = shares.length === 1 && (strategy !== 'concat' || first!.epochs === 1);
  return isPlain || shares.length === 0 ? null : { strategy, files: shares };
}

/**
 * Number of examples of each file in a training epoch, for files with `examples` examples. Shares are exact in every epoch, to one
 * example of each file. Throws `invalid_training_option` if a file would be repeated too often.
 */
export function epochCounts(examples: readonly number[], { strategy, files }: Mixture): number[] {
  const counts = strategy === 'concat' ? repeated(examples, files) : interleaved(examples, files, strategy);
  for (const [i, count] of counts.entries()) {
    const repeats = count / Math.max(1, examples[i]!);
    if (repeats > MAX_REPEATS)
      throw invalid(
        `training_files[${i}].weight`,
        `is ${files[i]!.weight}: an epoch would have its ${examples[i]} examples ${Math.ceil(repeats)} times, and ${MAX_REPEATS} is the limit; give it less weight, or set training.mix_strategy to "interleave_under"`,
      );
  }
  const all = sum(counts);
  if (all > MAX_EPOCH_EXAMPLES)
    throw invalid(
      'training_files',
      `an epoch would have ${all} examples, and ${MAX_EPOCH_EXAMPLES} is the limit; give fewer epochs, or other weights`,
    );
  return counts;
}

/** Number of examples in a training epoch of all files. */
export const epochExamples = (examples: readonly number[], mixture: Mixture | null): number =>
  sum(mixture ? epochCounts(examples, mixture) : examples);

/** Size of training data; null: not known. */
export interface EpochSize {
  examples: number | null;
  /** Characters that a language model is trained to generate. */
  answerCharacters: number | null;
}

/** Size of an epoch of training files. */
export function epochSize(files: readonly EpochSize[], mixture: Mixture | null): EpochSize {
  if (!mixture) return files[0]!;
  const examples = files.flatMap((file) => file.examples ?? []);
  const characters = files.flatMap((file) => file.answerCharacters ?? []);
  if (examples.length < files.length) return { examples: null, answerCharacters: null };
  const epoch = epochExamples(examples, mixture);
  const all = sum(examples);
  // The mean of all files, by their size.
  const isKnown = characters.length === files.length && all > 0;
  return { examples: epoch, answerCharacters: isKnown ? Math.round((sum(characters) * epoch) / all) : null };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

function repeated(examples: readonly number[], files: readonly FileShare[]): number[] {
  return examples.map((count, i) => (count === 0 ? 0 : Math.max(1, Math.round(count * files[i]!.epochs))));
}

/** An epoch has `length` examples, of which file i has its share of the weights of all files with examples. */
function interleaved(
  examples: readonly number[],
  files: readonly FileShare[],
  strategy: Exclude<MixStrategy, 'concat'>,
): number[] {
  const weights = files.map(({ weight }, i) => (examples[i] === 0 ? 0 : weight));
  const total = sum(weights);
  const lengths = examples.flatMap((count, i) => (count === 0 ? [] : [(count * total) / weights[i]!]));
  if (lengths.length === 0) return examples.map(() => 0);
  const isOver = strategy === 'interleave_over';
  const length = isOver ? Math.max(...lengths) : Math.min(...lengths);
  return examples.map((count, i) => {
    if (count === 0) return 0;
    const own = Math.round((length * weights[i]!) / total);
    return isOver ? Math.max(count, own) : Math.min(count, Math.max(1, own));
  });
}

function invalid(param: string, message: string): GraftError {
  return new GraftError('invalid_training_option', `${param}: ${message}`, { param });
}

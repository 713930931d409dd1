import { epochCounts, type ResolvedTraining } from '../config/index.ts';
import type { ValidationSet } from '../config/validation-sets.ts';
import type { MixedFiles } from './batches/mixed-order.ts';
import { type DataFile, mixtureOfFiles } from './data-files.ts';
import { type ExampleSource, type ReadingOptions, readingOptions } from './example-source.ts';
import { type Place, placeReader, split } from './hold-out/hold-out.ts';
import { type ExampleSummary, readExamples } from './read-examples.ts';
import type { TrainingExample } from './training-example.ts';

export interface TrainingData extends ExampleSummary {
  /** Examples of all training files, one after the other. */
  training: TrainingExample[];
  /** Examples of all validation files, one after the other. */
  validation: TrainingExample[];
  /** How an epoch mixes the training files; null: it is every example once. */
  mixed: MixedFiles | null;
  /** Validation files that are also measured separately; null: none. */
  validationSets: readonly ValidationSet[] | null;
}

/**
 * A job's training and validation examples. Without a validation file, `validation_split` of the training files is held out: see
 * `split`. Throws the errors of `readExamples` and of `epochCounts`.
 */
export async function readTrainingData(
  source: Omit<ExampleSource, keyof ReadingOptions> & { training: ResolvedTraining },
): Promise<TrainingData> {
  const { training } = source;
  const examples: Record<DataFile, TrainingExample[]> = { training_file: [], validation_file: [] };
  const places: Place[] = [];
  /** The file of each training example. */
  const owners: number[] = [];
  const place = placeReader(training, Boolean(source.validationFile));
  const summary = await readExamples(
    { ...source, ...readingOptions(training) },
    {
      onExample: (example, file, raw, index) => {
        examples[file].push(example);
        if (file === 'training_file') owners.push(index);
        if (place) places.push(place(raw, example));
      },
    },
  );
  const all = examples.training_file;
  const parts = source.validationFile
    ? { training: all, validation: examples.validation_file, trained: owners }
    : splitOf(all, owners, place && places, training);
  const { validationFiles } = source;
  return {
    ...summary,
    training: parts.training,
    validation: parts.validation,
    mixed: mixedFiles(source, training, parts.trained),
    validationSets: validationFiles?.length
      ? validationFiles.map(({ name }, i) => ({
          name,
          examples: summary.fileCounts.validation_file[i]!.examples,
        }))
      : null,
  };
}

/** `trained`: the file of each example that is left for training. */
function splitOf(
  all: readonly TrainingExample[],
  owners: readonly number[],
  places: readonly Place[] | null,
  training: ResolvedTraining,
) {
  const numbers = split([...all.keys()], places, training);
  return {
    training: numbers.training.map((i) => all[i]!),
    validation: numbers.validation.map((i) => all[i]!),
    trained: numbers.training.map((i) => owners[i]!),
  };
}

function mixedFiles(
  source: Pick<ExampleSource, 'trainingFiles'>,
  training: ResolvedTraining,
  trained: readonly number[],
): MixedFiles | null {
  const mixture = mixtureOfFiles(source, training);
  if (!mixture) return null;
  const examples = mixture.files.map(() => 0);
  for (const file of trained) examples[file]!++;
  return { examples, counts: epochCounts(examples, mixture) };
}

export const examplesPerEpoch = ({ training, mixed }: Pick<TrainingData, 'training' | 'mixed'>): number =>
  mixed ? mixed.counts.reduce((sum, count) => sum + count, 0) : training.length;

/** Number of tokens in a training epoch; of a mixture, by the mean length of each file's examples. */
export function tokensPerEpoch({ training, mixed }: Pick<TrainingData, 'training' | 'mixed'>): number {
  const { examples, counts } = mixed ?? { examples: [training.length], counts: [training.length] };
  let first = 0;
  let tokens = 0;
  for (const [file, count] of counts.entries()) {
    const end = first + examples[file]!;
    let own = 0;
    for (; first < end; first++) own += training[first]!.tokens;
    if (count > 0) tokens += (own * count) / examples[file]!;
  }
  return Math.round(tokens);
}

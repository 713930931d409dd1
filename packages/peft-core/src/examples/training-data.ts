import type { ResolvedTraining } from '../config/index.ts';
import { type DataFile, type ExampleSource, type ReadingOptions, readingOptions } from './example-source.ts';
import { type Place, placeReader, split } from './hold-out/hold-out.ts';
import { type ExampleSummary, readExamples } from './read-examples.ts';
import type { TrainingExample } from './training-example.ts';

/** A job's examples in memory, and their source. */
export interface TrainingData extends ExampleSummary {
  training: TrainingExample[];
  validation: TrainingExample[];
}

/**
 * A job's training and validation examples. Without a validation file, `validation_split` of the training file is held out: see
 * `split`. Throws the errors of `readExamples`.
 */
export async function readTrainingData(
  source: Omit<ExampleSource, keyof ReadingOptions> & { training: ResolvedTraining },
): Promise<TrainingData> {
  const { training } = source;
  const examples: Record<DataFile, TrainingExample[]> = { training_file: [], validation_file: [] };
  const places: Place[] = [];
  const place = placeReader(training, Boolean(source.validationFile));
  const summary = await readExamples(
    { ...source, ...readingOptions(training) },
    {
      onExample: (example, file, raw) => {
        examples[file].push(example);
        if (place) places.push(place(raw, example));
      },
    },
  );
  const all = examples.training_file;
  if (source.validationFile) return { ...summary, training: all, validation: examples.validation_file };
  return { ...summary, ...split(all, place && places, training) };
}

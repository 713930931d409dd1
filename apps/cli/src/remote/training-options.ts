import type { Hyperparameters, JobCreateParams, JobEstimateParams, PeftOptions } from '@graft/client';
import type { Command } from 'commander';
import { anyNumber, jsonObjectArgument, wholeNumber } from '../arguments.ts';
import type { FileOptions } from './with-files.ts';

/** What a job trains, on what and how. */
export interface TrainingOptions extends FileOptions {
  model: string;
  seed?: number;
  epochs?: number;
  batchSize?: number;
  learningRateMultiplier?: number;
  peft?: string;
  training?: string;
  sweep?: string;
  startFrom?: string;
}

/** Declares the options of every verb that takes a job's. */
export function takeTrainingOptions(command: Command): Command {
  return command
    .requiredOption('--model <id>', 'a base model, see `graft models list`')
    .requiredOption('--data <file>', 'training data: a JSONL file, or the id of an uploaded one')
    .option('--validation <file>', 'validation data, likewise')
    .option('--epochs <n>', 'passes over the data (default: chosen by size)', wholeNumber(1))
    .option('--batch-size <n>', 'examples per step', wholeNumber(1))
    .option('--learning-rate-multiplier <x>', "multiplies the method's learning rate", anyNumber)
    .option(
      '--peft <json>',
      'the method and its options as docs/methods.md names them, {"peft_type": …}, with the task_type if it is not to write text; or @file (default: r = 8 on all linear layers)',
    )
    .option(
      '--training <json>',
      'more training options, or @file: {"max_seq_length": 512, "base_dtype": "nf4", …}',
    )
    .option(
      '--sweep <json>',
      'values to try, the best of which are published, or @file: {"learning_rate": [1e-4, 1e-3], "r": [8, 16], "peft_type": …}; needs validation data',
    )
    .option('--seed <n>', 'of order, start values and dropout', wholeNumber(0))
    .option(
      '--start-from <version>',
      'go on from an adapter: a model’s name or a tag’s (ft:…), or the id of a version',
    );
}

/** The options as a request has them, but for the files. */
export function trainingParams(
  options: TrainingOptions,
): Omit<JobEstimateParams, 'training_file' | 'validation_file'> {
  const { model, seed, peft, training, sweep, startFrom } = options;
  return {
    model,
    ...(seed === undefined ? {} : { seed }),
    ...(startFrom === undefined ? {} : { start_from: startFrom }),
    ...hyperparametersOf(options),
    // The API says what is wrong with it.
    ...(peft === undefined ? {} : { peft: jsonObjectArgument('--peft', peft) as object as PeftOptions }),
    ...(training === undefined ? {} : { training: jsonObjectArgument('--training', training) }),
    ...(sweep === undefined ? {} : { sweep: jsonObjectArgument('--sweep', sweep) }),
  };
}

function hyperparametersOf(options: TrainingOptions): Pick<JobCreateParams, 'method'> {
  const hyperparameters: Hyperparameters = {};
  if (options.epochs !== undefined) hyperparameters.n_epochs = options.epochs;
  if (options.batchSize !== undefined) hyperparameters.batch_size = options.batchSize;
  if (options.learningRateMultiplier !== undefined) {
    hyperparameters.learning_rate_multiplier = options.learningRateMultiplier;
  }
  if (Object.keys(hyperparameters).length === 0) return {};
  return { method: { type: 'supervised', supervised: { hyperparameters } } };
}

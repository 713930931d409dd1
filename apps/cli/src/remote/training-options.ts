import type {
  GraftApiError,
  GraftClient,
  Hyperparameters,
  JobCreateParams,
  JobEstimateParams,
  PeftOptions,
} from '@graft/client';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { anyNumber, given, jsonObjectArgument, wholeNumber } from '../options/arguments.ts';
import { type DataFlags, takeDataOptions } from '../options/data-arguments.ts';
import {
  chooseMethod,
  type FindMethod,
  type PeftFlags,
  peftArgument,
  type TrainingFlags,
  takeJobOptions,
  trainingArgument,
} from '../options/job-options.ts';
import { checkFiles, type JobFiles } from './with-files.ts';

type FineTuningOptions = Awaited<ReturnType<GraftClient['fineTuning']['jobs']['options']>>;

export interface PlanOptions extends PeftFlags, TrainingFlags {
  model: string;
  seed?: number;
  epochs?: number;
  batchSize?: number;
  learningRateMultiplier?: number;
  sweep?: string;
  startFrom?: string;
}

export type TrainingOptions = PlanOptions & DataFlags;

export function takeTrainingOptions<C extends Command>(command: C): C {
  const file = 'a file (JSON lines, JSON, CSV, TSV, Parquet), the id of an uploaded one, or hf://datasets/…';
  const described = command.requiredOption('--model <id>', 'base model; `graft models list` shows them');
  const files = { data: `training data: ${file}`, validation: `validation data: ${file}` };
  return takePlanOptions(takeDataOptions(described, files));
}

/** Declares the options that describe a job, besides its model and data. */
export function takePlanOptions<C extends Command>(command: C): C {
  return takeJobOptions(command)
    .option('--learning-rate-multiplier <x>', "factor for the method's default learning rate", anyNumber)
    .option(
      '--sweep <json>',
      'values to compare, as JSON or @file: {"learning_rate": [1e-4, 1e-3], "r": [8, 16], "peft_type": […]}; needs validation data; the best adapter is published',
    )
    .option('--seed <n>', 'seed of shuffling, initialization and dropout', wholeNumber(0))
    .option(
      '--start-from <version>',
      'continue training an adapter: its model name or tag (ft:…), or the id of a version',
    );
}

/** A job as requested, without its files. */
type Plan = Omit<JobEstimateParams, keyof JobFiles>;

/** `planParams`, once the arguments for files are checked, which needs no service. */
export async function trainingParams(client: GraftClient, options: TrainingOptions): Promise<Plan> {
  checkFiles(options);
  return await planParams(client, options);
}

/**
 * The options for a request, with `more` training options. Checks with the service that the model exists, before anything is uploaded,
 * and reads the default configuration of a method that is set by a flag.
 */
export async function planParams(
  client: GraftClient,
  options: PlanOptions,
  more: Record<string, unknown> = {},
): Promise<Plan> {
  const { model, seed, sweep, startFrom } = options;
  // This finds faults without the service.
  const training = trainingArgument(options, more);
  const values = sweep === undefined ? undefined : jsonObjectArgument('--sweep', sweep);
  let asked: Promise<FineTuningOptions | null> | undefined;
  const known = () => {
    asked ??= readOptions(client, model, startFrom);
    return asked;
  };
  const peft = await peftArgument(options, async (peftType) => findIn(await known(), peftType));
  await known();
  return {
    model,
    ...given({
      seed,
      start_from: startFrom,
      ...methodOf(options),
      // The API validates it.
      peft: peft as PeftOptions | undefined,
      training,
      sweep: values,
    }),
  };
}

/** Reads the service's options; null where the key has no permission. Throws the API's error for an unknown model. */
async function readOptions(
  client: GraftClient,
  model: string,
  startFrom: string | undefined,
): Promise<FineTuningOptions | null> {
  try {
    return await client.fineTuning.jobs.options({ model, ...given({ start_from: startFrom }) });
  } catch (error) {
    if ((error as GraftApiError).code === 'insufficient_scope') return null;
    throw error;
  }
}

function findIn(known: FineTuningOptions | null, asked: string | undefined): Awaited<ReturnType<FindMethod>> {
  if (known === null)
    throw new UsageError(
      '--peft-type and --rank read the usual options of methods from the service, for which the key needs the scope jobs:read. Give --peft instead.',
    );
  const methods = known.methods.map(({ peft_type, usual, options }) => {
    const { properties } = options as { properties: Record<string, unknown> };
    return { peftType: peft_type, usual, properties };
  });
  return chooseMethod(asked, known.default_peft, methods);
}

/** `method` of a request; without --method, the hyperparameters of the method that the service chooses by the lines of the data. */
function methodOf(options: PlanOptions): Pick<JobCreateParams, 'method' | 'hyperparameters'> {
  const hyperparameters: Hyperparameters = given({
    n_epochs: options.epochs,
    batch_size: options.batchSize,
    learning_rate_multiplier: options.learningRateMultiplier,
  });
  const isGiven = Object.keys(hyperparameters).length > 0;
  const { method: type } = options;
  if (type === undefined) return isGiven ? { hyperparameters } : {};
  return {
    method: { type, ...(isGiven ? { [type]: { hyperparameters } } : {}) } as NonNullable<
      JobCreateParams['method']
    >,
  };
}

import { existsSync } from 'node:fs';
import type {
  FineTuningJob,
  GraftApiError,
  GraftClient,
  Hyperparameters,
  JobCreateParams,
  PeftOptions,
} from '@graft/client';
import { jsonObjectArgument } from '../json-argument.ts';
import type { Output } from '../output.ts';
import { uploadFile } from './upload-file.ts';
import { UsageError } from '../usage-error.ts';
import type { CreateJobOptions } from './jobs-create.ts';

/** Uploads what is local and creates the job. When the job is refused, what was uploaded for it is deleted again. */
export async function createJob(
  client: GraftClient,
  options: CreateJobOptions,
  output: Output,
): Promise<FineTuningJob> {
  // Read before anything is uploaded: a typo in an option should not cost an upload.
  const params = { model: options.model, ...optionalParams(options) };
  const training = fileOf(options.data, '--data');
  const validation = options.validation === undefined ? null : fileOf(options.validation, '--validation');
  const uploaded: string[] = [];
  const idOf = async (file: FileArgument): Promise<string> => {
    if ('id' in file) return file.id;
    const { id } = await uploadFile(client, file.path);
    uploaded.push(id);
    output.note(`Uploaded ${file.path} as ${id}.`);
    return id;
  };
  try {
    return await client.fineTuning.jobs.create({
      ...params,
      training_file: await idOf(training),
      ...(validation === null ? {} : { validation_file: await idOf(validation) }),
    });
  } catch (error) {
    // After a broken connection the job may exist and need its files.
    if ((error as Error).name === 'GraftApiError' && (error as GraftApiError).status < 500) {
      for (const id of uploaded) {
        await client.files.delete(id).then(
          () => output.note(`Deleted ${id} again.`),
          () => output.note(`${id} stays: it could not be deleted.`),
        );
      }
    }
    throw error;
  }
}

function optionalParams(options: CreateJobOptions): Partial<JobCreateParams> {
  const { suffix, seed, metadata, peft, training } = options;
  return {
    ...(suffix === undefined ? {} : { suffix }),
    ...(seed === undefined ? {} : { seed }),
    ...(metadata === undefined ? {} : { metadata }),
    ...hyperparametersOf(options),
    ...(peft === undefined ? {} : { peft: jsonObjectArgument('--peft', peft) as PeftOptions }),
    ...(training === undefined ? {} : { training: jsonObjectArgument('--training', training) }),
  };
}

function hyperparametersOf(options: CreateJobOptions): Pick<JobCreateParams, 'method'> {
  const hyperparameters: Hyperparameters = {};
  if (options.epochs !== undefined) hyperparameters.n_epochs = options.epochs;
  if (options.batchSize !== undefined) hyperparameters.batch_size = options.batchSize;
  if (options.learningRateMultiplier !== undefined) {
    hyperparameters.learning_rate_multiplier = options.learningRateMultiplier;
  }
  if (Object.keys(hyperparameters).length === 0) return {};
  return { method: { type: 'supervised', supervised: { hyperparameters } } };
}

type FileArgument = { path: string } | { id: string };

/** An existing path is uploaded; anything that looks like a file id is taken as one. */
function fileOf(text: string, option: string): FileArgument {
  if (existsSync(text)) return { path: text };
  if (/^file-[A-Za-z0-9]+$/.test(text)) return { id: text };
  throw new UsageError(
    `${option}: there is no file ${text}, and it is not the id of an uploaded one (file-…).`,
  );
}

import { existsSync } from 'node:fs';
import type {
  FineTuningJob,
  GraftApiError,
  GraftClient,
  Hyperparameters,
  JobCreateParams,
  JobIntegration,
  JobPriority,
  PeftOptions,
} from '@graft/client';
import { type Command, Option } from 'commander';
import { addPair, anyNumber, jsonObjectArgument, wholeNumber } from '../arguments.ts';
import { UsageError } from '../errors.ts';
import { createOutput, type Output } from '../output.ts';
import { type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';
import { uploadFile } from './upload-file.ts';

interface Options extends RemoteOptions {
  model: string;
  data: string;
  validation?: string;
  suffix?: string;
  seed?: number;
  epochs?: number;
  batchSize?: number;
  learningRateMultiplier?: number;
  peft?: string;
  training?: string;
  metadata?: Record<string, string>;
  priority?: JobPriority;
  startFrom?: string;
  idempotencyKey?: string;
  integration?: JobIntegration[];
  watch?: boolean;
}

export const jobPriorities: JobPriority[] = ['low', 'normal', 'high'];

export function addCreateJobVerb(jobs: Command): void {
  verb(jobs, {
    name: 'create',
    summary: 'start a fine-tuning job; local files are uploaded first',
    examples: [
      'graft jobs create --model smollm2-135m-instruct --data train.jsonl --suffix support --watch',
      `graft jobs create --model smollm2-135m-instruct --data file-… --peft @peft.json`,
      `graft jobs create --model smollm2-135m-instruct --data train.jsonl --training '{"base_dtype":"nf4"}'`,
    ],
    remote: true,
  })
    .requiredOption('--model <id>', 'a base model, see `graft models list`')
    .requiredOption('--data <file>', 'training data: a JSONL file, or the id of an uploaded one')
    .option('--validation <file>', 'validation data, likewise')
    .option('--suffix <name>', 'name of the adapter; jobs of one name make versions of one adapter')
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
    .option('--seed <n>', 'of order, start values and dropout', wholeNumber(0))
    .option('--metadata <key=value>', 'a note to find the job by; may be given again', addPair)
    .addOption(
      new Option('--priority <priority>', "among your team's jobs (default: normal)").choices(jobPriorities),
    )
    .option(
      '--start-from <version>',
      'go on from an adapter: a model’s name or a tag’s (ft:…), or the id of a version',
    )
    .option(
      '--integration <type=project>',
      'send metrics to wandb, mlflow or trackio (see `graft integrations`); may be given again',
      addIntegration,
    )
    .option('--idempotency-key <key>', 'the same command again within a day is the same job')
    .option('--watch', 'then follow it, as `graft jobs watch` does')
    .action(create);
}

async function create(options: Options): Promise<void> {
  const output = createOutput(options);
  const client = await connect(options);
  const job = await createJob(client, options, output);
  if (options.watch) {
    output.note(`Created ${job.id}.`);
    const { watchJob } = await import('./watch-job.ts');
    process.exitCode = await watchJob(client, job.id, output);
    return;
  }
  output.result(
    job,
    () => `Created ${job.id}; it is ${job.status}.\nFollow it with: graft jobs watch ${job.id}`,
  );
}

/** Uploads what is local and creates the job. When the job is refused, what was uploaded for it is deleted again. */
async function createJob(client: GraftClient, options: Options, output: Output): Promise<FineTuningJob> {
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
    const { idempotencyKey } = options;
    return await client.fineTuning.jobs.create(
      {
        ...params,
        training_file: await idOf(training),
        ...(validation === null ? {} : { validation_file: await idOf(validation) }),
      },
      idempotencyKey === undefined ? {} : { idempotencyKey },
    );
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

function optionalParams(options: Options): Partial<JobCreateParams> {
  const { suffix, seed, metadata, priority, peft, training, startFrom, integration } = options;
  return {
    ...(suffix === undefined ? {} : { suffix }),
    ...(seed === undefined ? {} : { seed }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(priority === undefined ? {} : { priority }),
    ...(startFrom === undefined ? {} : { start_from: startFrom }),
    ...(integration === undefined ? {} : { integrations: integration }),
    ...hyperparametersOf(options),
    // The API says what is wrong with it.
    ...(peft === undefined ? {} : { peft: jsonObjectArgument('--peft', peft) as object as PeftOptions }),
    ...(training === undefined ? {} : { training: jsonObjectArgument('--training', training) }),
  };
}

function hyperparametersOf(options: Options): Pick<JobCreateParams, 'method'> {
  const hyperparameters: Hyperparameters = {};
  if (options.epochs !== undefined) hyperparameters.n_epochs = options.epochs;
  if (options.batchSize !== undefined) hyperparameters.batch_size = options.batchSize;
  if (options.learningRateMultiplier !== undefined) {
    hyperparameters.learning_rate_multiplier = options.learningRateMultiplier;
  }
  if (Object.keys(hyperparameters).length === 0) return {};
  return { method: { type: 'supervised', supervised: { hyperparameters } } };
}

/** `mlflow=experiment`, `wandb=project` or `wandb=entity/project`. */
function addIntegration(text: string, before: JobIntegration[] = []): JobIntegration[] {
  const [type, place = ''] = text.split(/=(.*)/s);
  if (place !== '') {
    const [project, entity] = place.split('/').reverse();
    if (type === 'wandb')
      return [...before, { type, wandb: { project: project!, ...(entity !== undefined && { entity }) } }];
    if (type === 'mlflow') return [...before, { type, mlflow: { experiment: place } }];
    if (type === 'trackio') return [...before, { type, trackio: { project: place } }];
  }
  throw new UsageError(
    `--integration must be wandb=[entity/]project, mlflow=experiment or trackio=project, not ${text}.`,
  );
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

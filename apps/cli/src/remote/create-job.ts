import type { FineTuningJob, GraftClient, JobCreateParams, JobIntegration, JobPriority } from '@graft/client';
import { type Command, Option } from 'commander';
import { addPair } from '../arguments.ts';
import { UsageError } from '../errors.ts';
import { createOutput, type Output } from '../output.ts';
import { type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';
import { type TrainingOptions, takeTrainingOptions, trainingParams } from './training-options.ts';
import { withFiles } from './with-files.ts';

interface Options extends RemoteOptions, TrainingOptions {
  suffix?: string;
  metadata?: Record<string, string>;
  priority?: JobPriority;
  idempotencyKey?: string;
  integration?: JobIntegration[];
  watch?: boolean;
}

export const jobPriorities: JobPriority[] = ['low', 'normal', 'high'];

export function addCreateJobVerb(jobs: Command): void {
  const create = verb(jobs, {
    name: 'create',
    summary: 'create a fine-tuning job; local files are uploaded first',
    examples: [
      'graft jobs create --model smollm2-135m-instruct --data train.jsonl --suffix support --watch',
      'graft jobs create --model smollm2-135m-instruct --data file-… --rank 8 --learning-rate 2e-4 --epochs 3',
      'graft jobs create --model smollm2-135m-instruct --data file-… --peft @peft.json',
      `graft jobs create --model smollm2-135m-instruct --data train.jsonl --training '{"base_dtype":"nf4"}'`,
      `graft jobs create --model smollm2-135m-instruct --data train.jsonl --validation test.jsonl --sweep '{"r":[8,16]}'`,
    ],
    remote: true,
  });
  takeTrainingOptions(create)
    .option('--suffix <name>', 'name of the adapter; jobs with the same name create versions of one adapter')
    .option('--metadata <key=value>', 'label to find the job by; repeatable', addPair)
    .addOption(
      new Option('--priority <priority>', "priority among your team's jobs (default: normal)").choices(
        jobPriorities,
      ),
    )
    .option(
      '--integration <type=project>',
      'send metrics to wandb, mlflow or trackio (see `graft integrations`); repeatable',
      addIntegration,
    )
    .option('--idempotency-key <key>', 'a second command with this key within a day returns the same job')
    .option('--watch', 'follow the new job, as `graft jobs watch` does')
    .action(createAndReport);
}

async function createAndReport(options: Options): Promise<void> {
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

/** Creates a job. If it is rejected, deletes the files that were uploaded for it. */
async function createJob(client: GraftClient, options: Options, output: Output): Promise<FineTuningJob> {
  // Validated before the upload, so that a typo in an option or in the model's name does not cost an upload.
  const params = { ...(await trainingParams(client, options)), ...otherParams(options) };
  const { idempotencyKey } = options;
  return await withFiles(
    client,
    options,
    { output },
    async (files) =>
      await client.fineTuning.jobs.create(
        { ...params, ...files },
        idempotencyKey === undefined ? {} : { idempotencyKey },
      ),
  );
}

function otherParams({
  suffix,
  metadata,
  priority,
  integration,
}: Options): Pick<JobCreateParams, 'suffix' | 'metadata' | 'priority' | 'integrations'> {
  return {
    ...(suffix === undefined ? {} : { suffix }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(priority === undefined ? {} : { priority }),
    ...(integration === undefined ? {} : { integrations: integration }),
  };
}

/** Parses `mlflow=experiment`, `wandb=project` or `wandb=entity/project`. */
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

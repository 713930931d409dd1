import type {
  FineTuningJob,
  GraftApiError,
  GraftClient,
  JobCreateParams,
  JobIntegration,
  JobPriority,
} from '@graft/client';
import { priorities } from '@graft/wire/lists';
import { type Command, Option } from 'commander';
import type { Answer } from '../answer.ts';
import { UsageError } from '../errors.ts';
import { addPair, given, suffixArgument } from '../options/arguments.ts';
import { createOutput } from '../output.ts';
import type { VerbOptions } from '../verb.ts';
import { serviceVerb } from './service-verb.ts';
import { type TrainingOptions, takeTrainingOptions, trainingParams } from './training-options.ts';
import { withFiles } from './with-files.ts';

interface Options extends TrainingOptions {
  suffix?: string;
  metadata?: Record<string, string>;
  priority?: JobPriority;
  idempotencyKey?: string;
  integration?: JobIntegration[];
  watch?: boolean;
}

export const jobPriorities = Object.keys(priorities) as JobPriority[];

export function addCreateJobVerb(jobs: Command): void {
  const examples = [
    '--model smollm2-135m-instruct --data train.jsonl --suffix support --watch',
    '--model smollm2-135m-instruct --data file-… --rank 8 --learning-rate 2e-4 --epochs 3',
    '--model smollm2-135m-instruct --data file-… --peft @peft.json',
    '--model smollm2-135m-instruct --data pairs.jsonl --method dpo --beta 0.2',
    `--model smollm2-135m-instruct --data train.jsonl --training '{"base_dtype":"nf4"}'`,
    '--model smollm2-135m-instruct --data chats.jsonl:2 --data facts.jsonl --validation maths=test.jsonl',
    `--model smollm2-135m-instruct --data train.jsonl --validation test.jsonl --sweep '{"r":[8,16]}'`,
  ];
  const creates = 'create a fine-tuning job; local files are uploaded first';
  const priority = "priority among your team's jobs (default: normal)";
  takeTrainingOptions(serviceVerb(jobs, 'create', creates, ...examples))
    .option(
      '--suffix <name>',
      'name of the adapter; jobs with the same name create versions of one adapter; spaces become hyphens',
      suffixArgument,
    )
    .option('--metadata <key=value>', 'label to find the job by; repeatable', addPair)
    .addOption(new Option('--priority <priority>', priority).choices(jobPriorities))
    .option(
      '--integration <type=project>',
      'send metrics to wandb, mlflow or trackio (see `graft integrations`); repeatable',
      addIntegration,
    )
    .option('--idempotency-key <key>', 'a second command with this key within a day returns the same job')
    .addOption(watchOption())
    .run(async (client, options: Options) => {
      const { suffix, metadata, priority, integration: integrations, idempotencyKey } = options;
      // Validated before the upload, so that a typo in an option or in the model's name does not cost an upload.
      const params = {
        ...(await trainingParams(client, options)),
        ...given({ suffix, metadata, priority, integrations }),
      };
      const { jobs } = client.fineTuning;
      const job = await withFiles(client, options, async (files) => {
        const fault = await jobFault(client, { ...params, ...files });
        if (fault) throw fault;
        return await jobs.create({ ...params, ...files }, given({ idempotencyKey }));
      });
      return createdAnswer(client, job, options);
    });
}

/** The error with which a job would be refused, or fail when its files are read; null for none, and where nothing could be checked. */
export async function jobFault(client: GraftClient, params: JobCreateParams): Promise<GraftApiError | null> {
  const { GraftApiError } = await import('@graft/client');
  try {
    const { faults } = await client.fineTuning.jobs.check(params);
    const [first] = faults;
    const message = faults.map((fault) => fault.message).join('; ');
    return first ? new GraftApiError({ status: 400, code: first.code, param: first.param, message }) : null;
  } catch (error) {
    // A busy service, or a key without jobs:read, cannot check: creating the job reports its faults.
    if (error instanceof GraftApiError) return null;
    throw error;
  }
}

export const watchOption = (): Option =>
  new Option('--watch', 'follow the new job, as `graft jobs watch` does');

/** Follows the new job with --watch, and otherwise reports it. `like`: part of the text. */
export async function createdAnswer(
  client: GraftClient,
  job: FineTuningJob,
  options: VerbOptions & { watch?: boolean },
  like = '',
): Promise<Answer | null> {
  if (!options.watch) {
    const text = `Created ${job.id}${like}; it is ${job.status}.\nFollow it with: graft jobs watch ${job.id}`;
    return { value: job, text };
  }
  const output = createOutput(options);
  output.note(`Created ${job.id}.`);
  const { watchJob } = await import('./watch-job.ts');
  process.exitCode = await watchJob(client, job.id, output);
  return null;
}

/** Parses `mlflow=experiment`, `wandb=project` or `wandb=entity/project`. */
function addIntegration(text: string, before: JobIntegration[] = []): JobIntegration[] {
  const [type, place = ''] = text.split(/=(.*)/s);
  if (place !== '') {
    const [project, entity] = place.split('/').reverse();
    if (type === 'wandb') return [...before, { type, wandb: { project: project!, ...given({ entity }) } }];
    if (type === 'mlflow') return [...before, { type, mlflow: { experiment: place } }];
    if (type === 'trackio') return [...before, { type, trackio: { project: place } }];
  }
  throw new UsageError(
    `--integration must be wandb=[entity/]project, mlflow=experiment or trackio=project, not ${text}.`,
  );
}

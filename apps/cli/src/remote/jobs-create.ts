import type { Command } from 'commander';
import { type ConnectionOptions, connect } from './connect.ts';
import { anyNumber, wholeNumber } from '../arguments.ts';
import { createOutput } from '../output.ts';
import { UsageError } from '../usage-error.ts';
import { verb } from '../verb.ts';

export interface CreateJobOptions extends ConnectionOptions {
  json?: boolean;
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
  watch?: boolean;
}

export function addJobsCreateVerb(jobs: Command): void {
  verb(jobs, {
    name: 'create',
    summary: 'start a fine-tuning job; local files are uploaded first',
    examples: [
      'graft jobs create --model smollm2-135m-instruct --data train.jsonl --suffix support --watch',
      `graft jobs create --model smollm2-135m-instruct --data file-… --peft '{"peft_type":"LORA","r":16}'`,
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
      "the method's configuration in HF PEFT's names, with the task_type if it is not to write text; or @file (default: LoRA, r = 8)",
    )
    .option(
      '--training <json>',
      'more training options, or @file: {"max_seq_length": 512, "base_dtype": "nf4", …}',
    )
    .option('--seed <n>', 'of order, start values and dropout', wholeNumber(0))
    .option('--metadata <key=value>', 'a note to find the job by; may be given again', addPair)
    .option('--watch', 'then follow it, as `graft jobs watch` does')
    .action(create);
}

async function create(options: CreateJobOptions): Promise<void> {
  const output = createOutput(options);
  const { createJob } = await import('./create-job.ts');
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

function addPair(text: string, pairs: Record<string, string> = {}): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new UsageError(`--metadata must be key=value, not ${text}.`);
  return { ...pairs, [text.slice(0, equals)]: text.slice(equals + 1) };
}

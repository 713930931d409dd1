import type { GraftClient, JobCheckpoint } from '@graft/client';
import type { Command } from 'commander';
import { wholeNumber } from '../../arguments.ts';
import { bytes, loss, timestamp } from '../../draw/quantities.ts';
import { table } from '../../draw/table.ts';
import { CommandError, UsageError } from '../../errors.ts';
import { createOutput } from '../../output.ts';
import { noun, type RemoteOptions, verb } from '../../verb.ts';
import { connect } from '../connect.ts';
import type { SaveOptions } from './download-adapter.ts';

interface StepOptions extends RemoteOptions {
  step?: number;
  best?: boolean;
}

const ofStep = ['--step <n>', 'of this step (default: the newest that is kept)'] as const;
const ofBest = ['--best', 'the best by its validation'] as const;

export function addCheckpointsVerbs(program: Command): void {
  const checkpoints = noun(
    program,
    'checkpoints',
    'adapters of a job along the way: list, download, promote to a version, delete',
  );
  addListVerb(checkpoints, 'list');

  verb(checkpoints, {
    name: 'download <job>',
    summary: 'save the adapter of a checkpoint as a folder that Hugging Face PEFT loads',
    examples: ['graft checkpoints download ftjob-… --step 90 --output step-90'],
    remote: true,
  })
    .option(...ofStep, wholeNumber(1))
    .option(...ofBest)
    .requiredOption('--output <path>', 'the folder to make; with --tar the archive to write')
    .option('--tar', 'save the archive as it comes, without unpacking it')
    .option('--overwrite', 'replace what is at the output')
    .action(async (job: string, options: StepOptions & SaveOptions) => {
      const { checkOutput, saveArchive } = await import('./download-adapter.ts');
      await checkOutput(options);
      const client = await connect(options);
      const checkpoint = await find(client, job, options);
      const { id, step_number: step, digest, files } = checkpoint;
      await saveArchive(
        {
          title: `the checkpoint of step ${step}`,
          digest: digest!,
          files,
          open: (onProgress) => client.fineTuning.jobs.checkpoints.download(job, id, { onProgress }),
        },
        options,
      );
      createOutput(options).result(
        { path: options.output, ...checkpoint },
        () =>
          `Saved ${checkpoint.fine_tuned_model_checkpoint}\nin ${options.output}: ${files.map((file) => file.path).join(', ')}; ${bytes(checkpoint.bytes)}, digests checked.`,
      );
    });

  verb(checkpoints, {
    name: 'promote <job>',
    summary: 'make a checkpoint the next version of an adapter, which stays',
    examples: ['graft checkpoints promote ftjob-… --best', 'graft checkpoints promote ftjob-… --step 90'],
    remote: true,
  })
    .option(...ofStep, wholeNumber(1))
    .option(...ofBest)
    .option('--name <name>', "name of the adapter (default: the job's)")
    .option('--note <text>', 'what to remember of it')
    .action(async (job: string, options: StepOptions & { name?: string; note?: string }) => {
      const client = await connect(options);
      const { id, step_number: step } = await find(client, job, options);
      const { name, note } = options;
      const version = await client.fineTuning.jobs.checkpoints.promote(job, id, { name, note });
      createOutput(options).result(
        version,
        () =>
          `Step ${step} is ${version.model} (adapter ${version.adapter_id}, version ${version.version})\n\nNext:\n  graft chat --model ${version.model} -m "…"`,
      );
    });

  verb(checkpoints, {
    name: 'delete <job>',
    summary: 'delete the adapter of a checkpoint for good; versions made of it stay',
    examples: ['graft checkpoints delete ftjob-… --step 90'],
    remote: true,
  })
    .requiredOption('--step <n>', 'of this step', wholeNumber(1))
    .action(async (job: string, options: StepOptions) => {
      const client = await connect(options);
      const { id, step_number: step } = await find(client, job, options);
      const deleted = await client.fineTuning.jobs.checkpoints.delete(job, id);
      createOutput(options).result(deleted, () => `Deleted the adapter of step ${step}.`);
    });
}

/** Adds `graft checkpoints list` or `graft jobs checkpoints`. */
export function addListVerb(parent: Command, name: 'list' | 'checkpoints'): void {
  verb(parent, {
    name: `${name} <job>`,
    summary: 'list the checkpoints of a job, newest first, and which of them can be called',
    examples: [`graft ${parent.name()} ${name} ftjob-…`],
    remote: true,
  })
    .option('--limit <n>', 'at most this many', wholeNumber(1), 20)
    .action(async (job: string, options: RemoteOptions & { limit: number }) => {
      const output = createOutput(options);
      const client = await connect(options);
      const list = client.fineTuning.jobs.checkpoints.list(job, { limit: Math.min(options.limit, 100) });
      const data = await list.toArray(options.limit);
      output.result({ object: 'list', data }, () =>
        table(
          ['STEP', 'LOSS', 'VALIDATION', 'SIZE', 'CREATED', 'MODEL'],
          data.map((each) => [
            `${each.step_number}${each.best ? ' best' : ''}`,
            lossOf(each.metrics.train_loss),
            lossOf(each.metrics.valid_loss),
            bytes(each.bytes),
            timestamp(each.created_at),
            each.available ? each.fine_tuned_model_checkpoint : '(not kept)',
          ]),
          output.paint,
          'No checkpoints yet.',
        ),
      );
    });
}

const lossOf = (value: number | undefined): string => (value === undefined ? '' : loss(value));

/** Finds the selected checkpoint. Throws CommandError if its adapter is not kept. */
async function find(client: GraftClient, job: string, { step, best }: StepOptions): Promise<JobCheckpoint> {
  if (step !== undefined && best) throw new UsageError('--step and --best: give one of them.');
  for await (const each of client.fineTuning.jobs.checkpoints.list(job, { limit: 100 })) {
    if (step === undefined ? each.available && (!best || each.best) : each.step_number === step) {
      if (each.available) return each;
      throw new CommandError(
        `The adapter of step ${step} is not kept: graft jobs checkpoints ${job} lists those that are.`,
      );
    }
  }
  const which = step === undefined ? (best ? 'best checkpoint' : 'checkpoint') : `checkpoint of step ${step}`;
  throw new CommandError(`${job} has no ${which} whose adapter is kept.`);
}

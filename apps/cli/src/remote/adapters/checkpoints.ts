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

const stepOption = ['--step <n>', 'checkpoint at this step (default: the newest stored one)'] as const;
const bestOption = ['--best', 'checkpoint with the best validation result'] as const;

export function addCheckpointsVerbs(program: Command): void {
  const checkpoints = noun(
    program,
    'checkpoints',
    'adapters saved while a job trains: list, download, promote to a version, delete',
  );
  addListVerb(checkpoints, 'list');

  verb(checkpoints, {
    name: 'download <job>',
    summary: 'save the adapter of a checkpoint as a folder that Hugging Face PEFT loads',
    examples: ['graft checkpoints download ftjob-… --step 90 --output step-90'],
    remote: true,
  })
    .option(...stepOption, wholeNumber(1))
    .option(...bestOption)
    .requiredOption('--output <path>', 'folder to create, or with --tar the archive to write')
    .option('--tar', 'save the tar archive without unpacking it')
    .option('--overwrite', 'replace the output if it exists')
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
    summary: 'publish a checkpoint as the next version of an adapter',
    examples: ['graft checkpoints promote ftjob-… --best', 'graft checkpoints promote ftjob-… --step 90'],
    remote: true,
  })
    .option(...stepOption, wholeNumber(1))
    .option(...bestOption)
    .option('--name <name>', "name of the adapter (default: the job's)")
    .option('--note <text>', 'note about the version')
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
    summary: 'permanently delete the adapter of a checkpoint; versions created from it stay',
    examples: ['graft checkpoints delete ftjob-… --step 90'],
    remote: true,
  })
    .requiredOption('--step <n>', 'checkpoint at this step', wholeNumber(1))
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
    summary: 'list the checkpoints of a job, newest first, with the model names of those that are stored',
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
            each.available ? each.fine_tuned_model_checkpoint : '(not stored)',
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
  if (step !== undefined && best) throw new UsageError('Use either --step or --best, not both.');
  for await (const each of client.fineTuning.jobs.checkpoints.list(job, { limit: 100 })) {
    if (step === undefined ? each.available && (!best || each.best) : each.step_number === step) {
      if (each.available) return each;
      throw new CommandError(
        `The adapter of step ${step} is not stored: graft jobs checkpoints ${job} lists those that are.`,
      );
    }
  }
  const which = step === undefined ? (best ? 'best checkpoint' : 'checkpoint') : `checkpoint of step ${step}`;
  throw new CommandError(`${job} has no ${which} whose adapter is stored.`);
}

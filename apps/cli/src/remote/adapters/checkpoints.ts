import type { GraftClient, JobCheckpoint } from '@graft/client';
import type { Command } from 'commander';
import { bytes, loss, optional, timestamp } from '../../draw/quantities.ts';
import { CommandError, UsageError } from '../../errors.ts';
import { wholeNumber } from '../../options/arguments.ts';
import { noun } from '../../verb.ts';
import { listVerb, serviceVerb } from '../service-verb.ts';
import { checkOutput, type SaveOptions, savedText, saveOptions } from './save-options.ts';

interface StepOptions {
  step?: number;
  best?: boolean;
}

export function addCheckpointsVerbs(program: Command): void {
  const about = 'adapters saved while a job trains: list, download, promote to a version, delete';
  const group = noun(program, 'checkpoints', about);
  addListVerb(group, 'list');

  const saves = 'save the adapter of a checkpoint as a folder that Hugging Face PEFT loads';
  const download = serviceVerb(group, 'download <job>', saves, 'ftjob-… --step 90 --output step-90');
  saveOptions(whichOptions(download)).run(async (client, job: string, options: StepOptions & SaveOptions) => {
    const { saveArchive } = await import('./download-adapter.ts');
    checkOutput(options);
    const checkpoint = await find(client, job, options);
    const { id, step_number: step, digest, files, fine_tuned_model_checkpoint: model } = checkpoint;
    await saveArchive(
      {
        title: `the checkpoint of step ${step}`,
        digest: digest!,
        files,
        open: (onProgress) => client.fineTuning.jobs.checkpoints.download(job, id, { onProgress }),
      },
      options,
    );
    const saved = { path: options.output, ...checkpoint };
    return { value: saved, text: savedText(model, saved) };
  });

  const promotes = 'publish a checkpoint as the next version of an adapter';
  whichOptions(serviceVerb(group, 'promote <job>', promotes, 'ftjob-… --best', 'ftjob-… --step 90'))
    .option('--name <name>', "name of the adapter (default: the job's)")
    .option('--note <text>', 'note about the version')
    .run(async (client, job: string, options: StepOptions & { name?: string; note?: string }) => {
      const { id, step_number: step } = await find(client, job, options);
      const { name, note } = options;
      const version = await client.fineTuning.jobs.checkpoints.promote(job, id, { name, note });
      const text = `Step ${step} is ${version.model} (adapter ${version.adapter_id}, version ${version.version})\n\nNext:\n  graft chat --model ${version.model} -m "…"`;
      return { value: version, text };
    });

  const deletes = 'permanently delete the adapter of a checkpoint; versions created from it stay';
  serviceVerb(group, 'delete <job>', deletes, 'ftjob-… --step 90')
    .requiredOption('--step <n>', 'checkpoint at this step', wholeNumber(1))
    .run(async (client, job: string, options: StepOptions) => {
      const { id, step_number: step } = await find(client, job, options);
      const deleted = await client.fineTuning.jobs.checkpoints.delete(job, id);
      return { value: deleted, text: `Deleted the adapter of step ${step}.` };
    });
}

const whichOptions = <C extends Command>(command: C): C =>
  command
    .option('--step <n>', 'checkpoint at this step (default: the newest stored one)', wholeNumber(1))
    .option('--best', 'checkpoint with the best validation result');

/** Adds `graft checkpoints list` or `graft jobs checkpoints`. */
export function addListVerb(parent: Command, name: 'list' | 'checkpoints'): void {
  listVerb(parent, ({ fineTuning: { jobs } }, page, job: string) => jobs.checkpoints.list(job, page), {
    name: `${name} <job>`,
    summary: 'list the checkpoints of a job, newest first, with the model names of those that are stored',
    examples: ['ftjob-…'],
    limit: 20,
    pageSize: 100,
    columns: {
      STEP: (each) => `${each.step_number}${each.best ? ' best' : ''}`,
      LOSS: (each) => optional(each.metrics.train_loss, loss),
      VALIDATION: (each) => optional(each.metrics.valid_loss, loss),
      SIZE: (each) => bytes(each.bytes),
      CREATED: (each) => timestamp(each.created_at),
      MODEL: (each) => (each.available ? each.fine_tuned_model_checkpoint : '(not stored)'),
    },
    empty: 'No checkpoints yet.',
  });
}

/** Finds the selected checkpoint. Throws CommandError if its adapter is not stored. */
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

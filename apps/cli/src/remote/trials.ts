import type { JobTrial } from '@graft/client';
import type { Command } from 'commander';
import { count } from '../draw/quantities.ts';
import { type Columns, tableOf } from '../draw/table.ts';
import { serviceVerb } from './service-verb.ts';

const columns: Columns<JobTrial> = {
  TRIAL: 'trial',
  STATUS: ({ status, tied_with: tied }) => (tied == null ? status : `${status}, ties with ${tied}`),
  METHOD: ({ peft }) => peft.peft_type,
  R: ({ peft }) => String((peft as { r?: number }).r ?? ''),
  'LEARNING RATE': ({ training }) => String(training.learning_rate ?? 'auto'),
  STEP: ({ step }) => count(step),
};

export function addTrialsVerb(jobs: Command): void {
  const lists = 'list the trials of a sweep, with their steps and validation losses';
  serviceVerb(jobs, 'trials <id>', lists, 'ftjob-…').run(async (client, id: string) => {
    const list = await client.fineTuning.jobs.trials(id);
    const ends = [...new Set(list.data.flatMap(({ rungs }) => rungs.map(({ step }) => step)))];
    ends.sort((a, b) => a - b);
    const losses = ends.map((end) => [`LOSS AT ${end}`, (trial: JobTrial) => lossAt(trial, end)]);
    const all: Columns<JobTrial> = { ...columns, ...Object.fromEntries(losses) };
    const empty = 'This job is not a sweep. Create one with: graft jobs create --sweep';
    return { value: list, text: (paint) => tableOf(list.data, all, paint, empty) };
  });
}

function lossAt({ rungs }: JobTrial, end: number): string {
  const rung = rungs.find(({ step }) => step === end);
  if (!rung) return '';
  // The metric that decides, where it is not the loss.
  const value = rung.value == null ? '' : ` (${rung.value.toFixed(4)})`;
  return `${rung.valid_loss?.toFixed(4) ?? 'not a number'}${value}`;
}

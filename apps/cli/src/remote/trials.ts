import type { JobTrial } from '@graft/client';
import type { Command } from 'commander';
import { count } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { createOutput } from '../output.ts';
import { type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';

export function addTrialsVerb(jobs: Command): void {
  verb(jobs, {
    name: 'trials <id>',
    summary: 'list the trials of a sweep, with their steps and validation losses',
    examples: ['graft jobs trials ftjob-…'],
    remote: true,
  }).action(async (id: string, options: RemoteOptions) => {
    const output = createOutput(options);
    const list = await (await connect(options)).fineTuning.jobs.trials(id);
    const ends = [...new Set(list.data.flatMap(({ rungs }) => rungs.map(({ step }) => step)))];
    ends.sort((a, b) => a - b);
    output.result(list, () =>
      table(
        ['TRIAL', 'STATUS', 'METHOD', 'R', 'LEARNING RATE', 'STEP', ...ends.map((end) => `LOSS AT ${end}`)],
        list.data.map((trial) => [...cellsOf(trial), ...ends.map((end) => lossAt(trial, end))]),
        output.paint,
        'This job is not a sweep. Create one with: graft jobs create --sweep',
      ),
    );
  });
}

function cellsOf({ trial, status, tied_with: tied, peft, training, step }: JobTrial): string[] {
  const { r } = peft as { r?: number };
  const rate = training.learning_rate;
  return [
    String(trial),
    tied == null ? status : `${status}, ties with ${tied}`,
    peft.peft_type,
    r === undefined ? '' : String(r),
    rate === undefined ? 'auto' : String(rate),
    count(step),
  ];
}

function lossAt({ rungs }: JobTrial, end: number): string {
  const rung = rungs.find(({ step }) => step === end);
  if (!rung) return '';
  // The metric that decides, where it is not the loss.
  const value = rung.value == null ? '' : ` (${rung.value.toFixed(4)})`;
  return `${rung.valid_loss?.toFixed(4) ?? 'not a number'}${value}`;
}

import type { Command } from 'commander';
import { estimateView } from '../draw/estimate-view.ts';
import { createOutput } from '../output.ts';
import { type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';
import { type TrainingOptions, takeTrainingOptions, trainingParams } from './training-options.ts';
import { withFiles } from './with-files.ts';

export function addEstimateVerb(program: Command): void {
  const estimate = verb(program, {
    name: 'estimate',
    summary: 'estimate memory, tokens, steps and time of a job, and check for a worker that fits',
    examples: [
      'graft estimate --model smollm2-135m-instruct --data file-…',
      `graft estimate --model smollm2-135m-instruct --data train.jsonl --training '{"batch_size":16}'`,
    ],
    remote: true,
  });
  takeTrainingOptions(estimate).action(async (options: RemoteOptions & TrainingOptions) => {
    const output = createOutput(options);
    const client = await connect(options);
    const params = await trainingParams(client, options);
    // An estimate creates nothing, so uploaded files are deleted afterwards.
    const answer = await withFiles(
      client,
      options,
      { output, forNow: true },
      async (files) => await client.fineTuning.jobs.estimate({ ...params, ...files }),
    );
    output.result(answer, () => estimateView(answer, output.paint));
  });
}

import type { Command } from 'commander';
import { estimateView } from '../draw/estimate-view.ts';
import { serviceVerb } from './service-verb.ts';
import { type TrainingOptions, takeTrainingOptions, trainingParams } from './training-options.ts';
import { type JobFiles, withFiles } from './with-files.ts';

export function addEstimateVerb(program: Command): void {
  const summary = 'estimate memory, tokens, steps and time of a job, and check for a worker that fits';
  const examples = [
    '--model smollm2-135m-instruct --data file-…',
    `--model smollm2-135m-instruct --data train.jsonl --training '{"batch_size":16}'`,
  ];
  takeTrainingOptions(serviceVerb(program, 'estimate', summary, ...examples)).run(
    async (client, options: TrainingOptions) => {
      const params = await trainingParams(client, options);
      // An estimate creates nothing, so uploaded files are deleted afterwards.
      const request = (files: JobFiles) => client.fineTuning.jobs.estimate({ ...params, ...files });
      const estimate = await withFiles(client, options, request, { forNow: true });
      return { value: estimate, text: (paint) => estimateView(estimate, paint) };
    },
  );
}

import { Type } from 'typebox';
import { named } from '../schema.ts';
import { CreateJobSchema } from './fine-tuning-job.ts';

/** What shall be other than in the job that is cloned: any of a new job's parameters. */
export const CloneJobSchema = named('CloneFineTuningJob', Type.Partial(CreateJobSchema).properties, {
  additionalProperties: false,
  description:
    'What is absent is as in that job, its seed too; `seed: null` draws a new one. Of `peft`, `training` and the hyperparameters those options change that are given; a `peft` of another `peft_type` replaces it.',
});

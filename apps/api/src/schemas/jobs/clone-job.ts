import { Type } from 'typebox';
import { named } from '../schema.ts';
import { CreateJobSchema } from './fine-tuning-job.ts';

/** Overrides of the cloned job: any parameters of a new job. */
export const CloneJobSchema = named('CloneFineTuningJob', Type.Partial(CreateJobSchema).properties, {
  additionalProperties: false,
  description:
    'What is absent is as in that job, its seed too; `seed: null` draws a new one. Of `peft`, `training` and the hyperparameters those options change that are given; a `peft` of another `peft_type` replaces it.',
});

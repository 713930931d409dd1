import { Type } from 'typebox';
import { named } from '../schema.ts';
import { CreateJobSchema } from './fine-tuning-job.ts';

/** Overrides of the cloned job: any parameters of a new job. */
export const CloneJobSchema = named('CloneFineTuningJob', Type.Partial(CreateJobSchema).properties, {
  additionalProperties: false,
  description:
    'Omitted fields, including the seed, have the values of the cloned job; `seed: null` draws a new seed. Of `peft`, `training`, `training.preference` and the hyperparameters, only the given options change; a `peft` with another `peft_type` replaces the whole `peft`, and with another `method.type` the options of preferences start from their defaults.',
});

import { PeftConfigSchema, ResolvedTrainingSchema } from '@graft/peft-core/config';
import { Type } from 'typebox';
import { named, nullable, oneOf, ref } from '../schema.ts';

const count = (description: string) => Type.Integer({ minimum: 0, description });

export const ChangesSchema = named(
  'FineTuningChanges',
  {
    batch_size: Type.Optional(Type.Integer()),
    mini_batch_size: Type.Optional(nullable(Type.Integer())),
    gradient_accumulation_steps: Type.Optional(Type.Integer()),
    gradient_checkpointing: Type.Optional(Type.Boolean()),
    base_dtype: Type.Optional(Type.String()),
    max_seq_length: Type.Optional(
      Type.Integer({ description: 'Maximum sequence length. Longer examples must be shortened first.' }),
    ),
  },
  { description: 'Options of `training` to change.' },
);

export const EstimateSchema = named('FineTuningEstimate', {
  object: Type.Literal('fine_tuning.estimate'),
  trainable_parameters: count('Number of trainable parameters of the adapter.'),
  total_parameters: count('Number of parameters of the base model and the adapter.'),
  peak_memory_bytes: count('Peak memory of the training process, in bytes. With the device gpu: GPU memory.'),
  tokens: count('Number of tokens in all epochs.'),
  steps: count('Number of optimizer steps.'),
  seconds: nullable(Type.Number({ minimum: 0 }), {
    description:
      'Duration in seconds, from the start of training until the files of the adapter are written. Null if the speed of the worker is not known.',
  }),
  fits: nullable(Type.Boolean(), {
    description: 'Whether a live worker has enough memory. Null if a worker does not report its memory.',
  }),
  changes: Type.Array(
    Type.Object({
      training: ref(ChangesSchema),
      peak_memory_bytes: count('Peak memory with these options, in bytes.'),
    }),
    {
      description:
        'Changes, each of which alone would make the job fit. Empty if it fits, or if no change helps.',
    },
  ),
  workers: count('Number of live workers that could run the job.'),
  memory_bytes: nullable(Type.Integer(), {
    description: 'Maximum memory for a job on one of these workers, in bytes. Null if none reports it.',
  }),
  device: oneOf(['cpu', 'gpu'], { description: 'Device that the estimate is for.' }),
  precision: oneOf(['fp32', 'bf16'], {
    description: 'Precision of matrix products that the estimate is for.',
  }),
  warnings: Type.Optional(
    Type.Array(Type.Object({ param: Type.String(), message: Type.String() }), {
      description:
        'Omitted options of `peft` whose defaults in HF PEFT learn less, each with a better value; and columns of the files that are not read (`training.columns`). Only for a new job; an existing job has them in its events.',
    }),
  ),
});

/** The estimate of a job that does not exist, with all resolved options. */
export const JobPlanSchema = named('FineTuningPlan', {
  ...EstimateSchema.properties,
  peft: ref(PeftConfigSchema, {
    description: 'PEFT configuration with the values of all options. For a sweep, that of its first trial.',
  }),
  training: ref(ResolvedTrainingSchema, {
    description: 'Training options with their values. For a sweep, those of its first trial.',
  }),
  training_reasons: Type.Unsafe<Record<string, string>>({
    type: 'object',
    additionalProperties: { type: 'string' },
    description:
      'By option, why Graft chose its values of omitted `training` options, and which default values in `peft` reduce what is learned.',
  }),
  trials: Type.Integer({ minimum: 1, description: 'Number of configurations to train.' }),
});

/** The errors of a requested job, as a successful response. */
export const JobCheckSchema = named('FineTuningCheck', {
  object: Type.Literal('fine_tuning.check'),
  faults: Type.Array(
    Type.Object({
      code: Type.String({ description: 'Error code that creating the job would return.' }),
      message: Type.String(),
      param: nullable(Type.String(), {
        description: 'Invalid field. Null if the error is not about one field.',
      }),
    }),
    { description: 'Errors for which creating the job would be refused. Empty if it would be accepted.' },
  ),
  options_accepted: Type.Boolean({
    description:
      'Whether model and options are accepted, so that the files can be read as the job reads them (POST /v1/files/{file_id}/report). Errors are then about their content.',
  }),
  plan: nullable(ref(JobPlanSchema), {
    description: 'Estimate and resolved options. Null if the job would be refused.',
  }),
});

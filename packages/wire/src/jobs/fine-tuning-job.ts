import {
  defaultPeft,
  HyperparametersSchema,
  methodSchemas,
  PeftConfigSchema,
  PeftRequestSchema,
  PreferenceHyperparametersSchema,
  ResolvedTrainingSchema,
  SweepSchema,
  TrainingOptionsSchema,
} from '@graft/peft-core/config';
import { Type } from 'typebox';
import { LineFaultFields } from '../error.ts';
import { JobIntegrationSchema } from '../integration.ts';
import { After, createdBetween, limit } from '../list.ts';
import { jobStatuses, type Priority, priorities } from '../lists.ts';
import {
  documented,
  input,
  MetadataSchema,
  named,
  namedInput,
  namedSchemas,
  nullable,
  oneOf,
  optional,
  parsedElsewhere,
  ref,
  Time,
} from '../schema.ts';
import { DataSchema } from './data-counts.ts';
import { EstimateSchema } from './estimate.ts';
import { filesOfJob, requestedFiles } from './job-files.ts';
import { ProgressSchema } from './job-progress.ts';
import { MethodSchema } from './method.ts';

// peft-core's schemas already have names.
namedSchemas.push(
  HyperparametersSchema,
  PreferenceHyperparametersSchema,
  PeftRequestSchema,
  ...methodSchemas,
  PeftConfigSchema,
  TrainingOptionsSchema,
  ResolvedTrainingSchema,
  SweepSchema,
);

const priority = (description: string) =>
  Type.Unsafe<Priority>({ type: 'string', enum: Object.keys(priorities), description });

export const CreateJobSchema = namedInput(
  'CreateFineTuningJob',
  {
    model: Type.String({
      minLength: 1,
      maxLength: 256,
      description:
        'Id of a base model (see GET /v1/models), or name of a fine-tuned model to continue from, like `start_from`.',
    }),
    start_from: Type.Optional(
      nullable(
        Type.String({
          minLength: 1,
          maxLength: 512,
          description:
            'Adapter version of the same base model to continue from instead of new weights: the name of a fine-tuned model (`ft:…`) or tag (`ft:…:production`), or the id of a version. Training uses the `peft` configuration of that version; omit `peft` here.',
        }),
      ),
    ),
    ...requestedFiles,
    ...optional({
      suffix: nullable(
        Type.String({
          minLength: 1,
          maxLength: 64,
          pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
          description: 'Part of the name of the fine-tuned model, and the name of its adapter.',
        }),
      ),
      seed: nullable(Type.Integer({ minimum: 0, maximum: 2_147_483_647 })),
      metadata: nullable(MetadataSchema),
      priority: nullable(
        priority(
          'Priority among the jobs of your team: `high` runs before `normal` jobs created up to a day earlier, and likewise `normal` before `low`. It does not delay other teams. Default: `normal`.',
        ),
      ),
      method: MethodSchema,
      hyperparameters: ref(HyperparametersSchema, { deprecated: true }),
      integrations: nullable(Type.Array(ref(JobIntegrationSchema), { maxItems: 3 }), {
        description:
          'Integrations to send metrics to while the job runs: at most one of each type, which an admin must have set up.',
      }),
      peft: documented(PeftRequestSchema),
      training: documented(TrainingOptionsSchema),
      sweep: Type.Unsafe<unknown>({ ...nullable(ref(SweepSchema)), [parsedElsewhere]: true }),
    }),
  },
  {
    description: `Default of \`peft\`: ${JSON.stringify(defaultPeft)}, with a lower rank if the team’s \`max_rank\` is lower. Without \`training\`, all training options are chosen automatically and shown in the job.`,
  },
);

const { model, start_from, training_file, validation_file, training_files, validation_files, ...more } =
  CreateJobSchema.properties;
export const { seed, method, hyperparameters, peft, training, sweep } = more;

/** The parameters of a new job that determine its estimate. */
export const EstimateJobSchema = namedInput('EstimateFineTuningJob', {
  model,
  start_from,
  training_file,
  validation_file,
  training_files,
  validation_files,
  seed,
  method,
  hyperparameters,
  peft,
  training,
  sweep,
});

export const UpdateJobSchema = namedInput('UpdateFineTuningJob', {
  priority: priority(
    'Priority among the jobs of the team. For a running job, it applies when the job waits again.',
  ),
});

export const TrainingEndSchema = named('FineTuningJobTrainingEnd', {
  step: Type.Integer({ description: 'Last optimizer step.' }),
  total_steps: Type.Integer({ description: 'Number of planned optimizer steps.' }),
  reason: oneOf(['completed', 'early_stopping']),
  published_step: Type.Integer({
    description:
      'Step whose adapter is published: the last step, or the best one with load_best_model_at_end.',
  }),
  best: nullable(Type.Object({ step: Type.Integer(), metric: Type.String(), value: Type.Number() }), {
    description: 'Best evaluation by metric_for_best_model. Null without validation data.',
  }),
});

export const ValidationSchema = named('FineTuningJobValidation', {
  bytes: Type.Integer({ description: 'Number of bytes read so far, of all files.' }),
  total_bytes: Type.Integer(),
  examples: Type.Integer({ description: 'Number of examples checked so far.' }),
});

export const JobSchema = named('FineTuningJob', {
  id: Type.String(),
  object: Type.Literal('fine_tuning.job'),
  created_at: Time,
  created_by: nullable(Type.String(), {
    description:
      'Id of the person who created the job, or of the key if it belongs to no person. Null if not known.',
  }),
  model: Type.String({ description: 'Id of the base model.' }),
  suffix: nullable(Type.String(), {
    description: 'Suffix as requested, which is the name of the adapter. Null if none was requested.',
  }),
  start_from: nullable(Type.String(), {
    description:
      'Name of the adapter version that training continues from. Null if it starts with new weights.',
  }),
  organization_id: Type.String({ description: 'Id of the team.' }),
  status: oneOf(jobStatuses),
  ...filesOfJob,
  system_prompt: nullable(Type.String(), {
    description:
      'System message that every example of the training file begins with. Send it with each chat, because the model was trained with it. Null if the examples begin differently or without one, or if it has more than 16,384 characters.',
  }),
  fine_tuned_model: nullable(Type.String(), {
    description:
      'Name to use as `model` in completions: `ft:{base}:{team}:{suffix}:{id}`. Null until the job succeeds.',
  }),
  finished_at: nullable(Time),
  trained_tokens: nullable(Type.Integer(), {
    description:
      'Number of trained tokens, set when the job ends with any status; each step counts once. Null if none were trained.',
  }),
  hyperparameters: ref(PreferenceHyperparametersSchema),
  result_files: Type.Array(Type.String()),
  seed: Type.Integer(),
  error: nullable(
    Type.Object({
      code: Type.String(),
      message: Type.String(),
      param: nullable(Type.String()),
      fault: oneOf(['user', 'system', 'environment'], {
        description:
          'Cause of the error. `user`: the request or the data. `system`: an internal error, possibly caused by the job, which was retried a few times. `environment`: the worker.',
      }),
      details: Type.Optional(
        Type.Array(Type.Object(LineFaultFields), {
          description:
            'Faults in lines of a file: the first ten, each with the first lines that have it. The file report lists all.',
        }),
      ),
    }),
  ),
  estimated_finish: nullable(Time),
  integrations: Type.Array(ref(JobIntegrationSchema)),
  method: MethodSchema,
  metadata: nullable(MetadataSchema),
  peft: ref(PeftConfigSchema, {
    description:
      'PEFT configuration. For a sweep, that of its first trial, then that of the winning trial once there is one.',
  }),
  training: Type.Union([ref(ResolvedTrainingSchema), ref(TrainingOptionsSchema)], {
    description:
      'Training options: as requested until the files are validated, then the values used. For a sweep, those of the same trial as `peft`.',
  }),
  sweep: nullable(ref(SweepSchema), {
    description:
      'Sweep as requested; its trials are listed separately. Null if the job trains one configuration.',
  }),
  training_reasons: nullable(
    Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } }),
    {
      description:
        'By option, why Graft chose its values of omitted `training` options, and which default values in `peft` reduce what is learned. Null until the files are validated.',
    },
  ),
  validation: nullable(ref(ValidationSchema), {
    description: 'Progress of validation. Null unless the status is `validating_files`.',
  }),
  data: nullable(ref(DataSchema), {
    description: 'Counts of the examples in the files. Null until the files are validated.',
  }),
  progress: nullable(ref(ProgressSchema)),
  priority: priority('Priority among the jobs of the team.'),
  estimated_start: nullable(Time, {
    description:
      'Unix timestamp (in seconds) by which a waiting job starts with a probability of 50 %, estimated from the durations of recent jobs. Null if no job has run yet, no worker accepts jobs, or the job does not wait.',
  }),
  estimated_start_latest: nullable(Time, {
    description:
      'Unix timestamp (in seconds) by which a waiting job starts with a probability of 90 %. Null in the same cases.',
  }),
  estimate: nullable(ref(EstimateSchema), {
    description:
      'Estimate made before the job runs. Null until the files are validated, or if the estimate failed.',
  }),
  training_end: nullable(ref(TrainingEndSchema), {
    description:
      'How training ended. Null until the job succeeds, and for a job that an earlier version trained.',
  }),
  queue_position: nullable(Type.Integer({ minimum: 1 }), {
    description:
      'Position in the queue, 1 for the next job, up to a second old. Null if the job does not wait.',
  }),
});

export const ListJobsQuery = input({
  after: After,
  limit: limit(20, 1000),
  ...optional({
    status: oneOf(jobStatuses),
    model: Type.String({ minLength: 1, maxLength: 256, description: 'Id of the base model.' }),
    created_by: Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'Id of the person or key, as in `created_by` of a job.',
    }),
    search: Type.String({
      minLength: 1,
      maxLength: 128,
      description:
        'Part of the id, the suffix, the model or the name of the fine-tuned model, case-insensitive.',
    }),
  }),
  ...createdBetween,
  metadata: Type.Optional(
    Type.Unsafe<Record<string, string>>({
      type: 'object',
      maxProperties: 16,
      additionalProperties: { type: 'string' },
      description: 'Only jobs that have all these key-value pairs, each given as `metadata[key]=value`.',
    }),
  ),
});

export const JobParams = Type.Object({ fine_tuning_job_id: Type.String() });

export const CreateJobHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description:
        'Key that makes retries safe: for a day, another request with the same key and body returns the job that the first one created. With a different body it is refused.',
    }),
  ),
});

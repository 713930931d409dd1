import {
  defaultPeft,
  HyperparametersSchema,
  methodSchemas,
  PeftConfigSchema,
  PeftRequestSchema,
  ResolvedTrainingSchema,
  SweepSchema,
  TrainingOptionsSchema,
  trainingReasons,
} from '@graft/peft-core/config';
import { type Job, type Priority, priorityOf, type QueuePlace, wireStatus } from '@graft/service';
import { type Static, Type } from 'typebox';
import { LineFaultFields } from '../error.ts';
import { JobIntegrationSchema } from '../integration.ts';
import { After, createdBetween, limit } from '../list.ts';
import {
  documented,
  input,
  named,
  namedInput,
  namedSchemas,
  nullable,
  parsedElsewhere,
  ref,
  Time,
  unixSeconds,
} from '../schema.ts';
import { DataSchema, toWireData } from './data-counts.ts';
import { EstimateSchema, toWireEstimate } from './estimate.ts';
import { ProgressSchema, toWireProgress } from './job-progress.ts';
import { MethodSchema } from './method.ts';

// peft-core's schemas already have names.
namedSchemas.push(
  HyperparametersSchema,
  PeftRequestSchema,
  ...methodSchemas,
  PeftConfigSchema,
  TrainingOptionsSchema,
  ResolvedTrainingSchema,
  SweepSchema,
);

const MetadataSchema = Type.Unsafe<Record<string, string>>({
  type: 'object',
  maxProperties: 16,
  propertyNames: { type: 'string', minLength: 1, maxLength: 64 },
  additionalProperties: { type: 'string', maxLength: 512 },
  description: 'Up to 16 pairs of text: keys of at most 64 characters, values of at most 512.',
});

const priority = (description: string) =>
  Type.Unsafe<Priority>({ type: 'string', enum: ['low', 'normal', 'high'], description });

export const CreateJobSchema = namedInput(
  'CreateFineTuningJob',
  {
    model: Type.String({
      minLength: 1,
      maxLength: 256,
      description:
        'Id of a base model, see GET /v1/models; or a fine-tuned model to continue from, as `start_from`.',
    }),
    start_from: Type.Optional(
      nullable(
        Type.String({
          minLength: 1,
          maxLength: 512,
          description:
            'Adapter version of the same base model to continue from, instead of new weights: the name of a model (`ft:…`) or of a tag (`ft:…:production`), or the id of a version. Training uses its `peft`; omit it here.',
        }),
      ),
    ),
    training_file: Type.String({ minLength: 1, maxLength: 64, description: 'Id of an uploaded JSONL file.' }),
    validation_file: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 64 }))),
    suffix: Type.Optional(
      nullable(
        Type.String({
          minLength: 1,
          maxLength: 64,
          pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
          description: 'Part of the name of the fine-tuned model, and the name of its adapter.',
        }),
      ),
    ),
    seed: Type.Optional(nullable(Type.Integer({ minimum: 0, maximum: 2_147_483_647 }))),
    metadata: Type.Optional(nullable(MetadataSchema)),
    priority: Type.Optional(
      nullable(
        priority(
          "Among your team's own jobs: `high` goes before those of normal priority created up to a day before it, and so `normal` before `low`. Other teams never wait longer for it.",
        ),
      ),
    ),
    method: Type.Optional(MethodSchema),
    hyperparameters: Type.Optional(ref(HyperparametersSchema, { deprecated: true })),
    integrations: Type.Optional(
      nullable(Type.Array(ref(JobIntegrationSchema), { maxItems: 3 }), {
        description:
          'Where metrics are sent while the job runs: one of each type, which an admin has set up.',
      }),
    ),
    peft: Type.Optional(documented(PeftRequestSchema)),
    training: Type.Optional(documented(TrainingOptionsSchema)),
    sweep: Type.Optional(Type.Unsafe<unknown>({ ...nullable(ref(SweepSchema)), [parsedElsewhere]: true })),
  },
  {
    description: `Without \`peft\`: ${JSON.stringify(defaultPeft)}, with a lower rank if the team’s \`max_rank\` is lower; a \`peft\` of only \`peft_type\` ${defaultPeft.peft_type} trains the same. Without \`training\`, everything is chosen automatically and shown in the job.`,
  },
);

const { model, start_from, training_file, validation_file, ...more } = CreateJobSchema.properties;
const { seed, method, hyperparameters, peft, training, sweep } = more;

/** The parameters of a new job that determine its estimate. */
export const EstimateJobSchema = namedInput('EstimateFineTuningJob', {
  model,
  start_from,
  training_file,
  validation_file,
  seed,
  method,
  hyperparameters,
  peft,
  training,
  sweep,
});

export const UpdateJobSchema = namedInput('UpdateFineTuningJob', {
  priority: priority('Of a job that runs: once it waits again.'),
});

const statuses = [
  'validating_files',
  'queued',
  'running',
  'paused',
  'succeeded',
  'failed',
  'cancelled',
] as const;

const TrainingEndSchema = named('FineTuningJobTrainingEnd', {
  step: Type.Integer({ description: 'The last optimizer step.' }),
  total_steps: Type.Integer({ description: 'Those that were planned.' }),
  reason: Type.Enum(['completed', 'early_stopping'], { type: 'string' }),
  published_step: Type.Integer({
    description: 'Whose adapter is published: the last, or with load_best_model_at_end the best.',
  }),
  best: nullable(Type.Object({ step: Type.Integer(), metric: Type.String(), value: Type.Number() }), {
    description: 'The best evaluation by metric_for_best_model; null without validation data.',
  }),
});

const ValidationSchema = named('FineTuningJobValidation', {
  bytes: Type.Integer({ description: 'Read so far, of both files.' }),
  total_bytes: Type.Integer(),
  examples: Type.Integer({ description: 'Checked so far.' }),
});

export const JobSchema = named('FineTuningJob', {
  id: Type.String(),
  object: Type.Literal('fine_tuning.job'),
  created_at: Time,
  created_by: nullable(Type.String(), {
    description: 'The person who created it, or the key if it belongs to no person. Null: unknown.',
  }),
  model: Type.String({ description: 'The base model.' }),
  suffix: nullable(Type.String(), { description: 'As requested: the name of its adapter.' }),
  start_from: nullable(Type.String(), {
    description: 'Name of the adapter version that training continues from.',
  }),
  organization_id: Type.String({ description: 'The team.' }),
  status: Type.Enum([...statuses], { type: 'string' }),
  training_file: Type.String(),
  validation_file: nullable(Type.String()),
  system_prompt: nullable(Type.String(), {
    description:
      'The system message that every example of the training file begins with: send it with each chat, since the answers were trained with it. Null: the examples begin differently or without one, or it has more than 16,384 characters.',
  }),
  fine_tuned_model: nullable(Type.String(), {
    description: '`ft:{base}:{team}:{suffix}:{id}`: what /v1/chat/completions takes as `model`.',
  }),
  finished_at: nullable(Time),
  trained_tokens: nullable(Type.Integer(), {
    description: 'Set when it ends, however it does: each step once. Null: none was trained.',
  }),
  hyperparameters: ref(HyperparametersSchema),
  result_files: Type.Array(Type.String()),
  seed: Type.Integer(),
  error: nullable(
    Type.Object({
      code: Type.String(),
      message: Type.String(),
      param: nullable(Type.String()),
      fault: Type.Enum(['user', 'system', 'environment'], {
        type: 'string',
        description: 'Who can fix it.',
      }),
      details: Type.Optional(
        Type.Array(Type.Object(LineFaultFields), {
          description:
            'Of lines of a file that cannot be used: the first ten faults, each with the first lines that have it. The report of the file has the rest.',
        }),
      ),
    }),
  ),
  estimated_finish: nullable(Time),
  integrations: Type.Array(ref(JobIntegrationSchema)),
  method: MethodSchema,
  metadata: nullable(MetadataSchema),
  peft: ref(PeftConfigSchema, {
    description: 'Of a sweep: of its first trial, and once it has one, its winner.',
  }),
  training: Type.Union([ref(ResolvedTrainingSchema), ref(TrainingOptionsSchema)], {
    description: 'The values used; as requested until the files are validated. Of a sweep as `peft`.',
  }),
  sweep: nullable(ref(SweepSchema), {
    description: 'As requested; its trials are listed apart. Null: one configuration is trained.',
  }),
  training_reasons: nullable(
    Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } }),
    {
      description:
        'Why the options of `training` that were left to Graft have their values, and what of `peft` has a default that costs much, by option; null until the files are validated.',
    },
  ),
  validation: nullable(ref(ValidationSchema), {
    description: 'How far the files are read while the status is validating_files.',
  }),
  data: nullable(ref(DataSchema), {
    description: 'What became of the lines of the files; null until they are validated.',
  }),
  progress: nullable(ref(ProgressSchema)),
  priority: priority('Among the jobs of the team.'),
  estimated_start: nullable(Time, {
    description:
      'When a job that waits should start: in half of the cases by then, going by how long the latest jobs ran. Null while none has run, or no worker takes jobs.',
  }),
  estimated_start_latest: nullable(Time, { description: 'The same, in nine of ten cases.' }),
  estimate: nullable(ref(EstimateSchema), {
    description: 'Estimated before it runs; null until the files are validated, or if the estimate failed.',
  }),
  training_end: nullable(ref(TrainingEndSchema), {
    description: 'Null before the job has succeeded, and of one that an earlier version trained.',
  }),
  queue_position: nullable(Type.Integer({ minimum: 1 }), {
    description: '1 for the next job; null when it does not wait. Up to a second old.',
  }),
});

export const ListJobsQuery = input({
  after: After,
  limit: limit(20, 1000),
  status: Type.Optional(Type.Enum([...statuses], { type: 'string' })),
  model: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'Id of the base model.' })),
  created_by: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: 'Id of a person or a key, as jobs have it.' }),
  ),
  search: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 128,
      description: 'Part of the id, the suffix, the model or the name of the fine-tuned model, in any case.',
    }),
  ),
  ...createdBetween,
  metadata: Type.Optional(
    Type.Unsafe<Record<string, string>>({
      type: 'object',
      maxProperties: 16,
      additionalProperties: { type: 'string' },
      description: '`metadata[key]=value`: only jobs that have all these pairs.',
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
        'A second request with the same key and body answers the job that the first one made, for a day; with another body it is refused.',
    }),
  ),
});

export function toWireJob(job: Job, place: QueuePlace | null): Static<typeof JobSchema> {
  const { progress, resolvedTraining } = job;
  const validation = job.state === 'validating' ? job.validationProgress : null;
  const secondsRemaining = job.state === 'running' ? (progress?.secondsRemaining ?? null) : null;
  const hyperparameters = {
    n_epochs: resolvedTraining?.n_epochs ?? job.hyperparameters.n_epochs ?? 'auto',
    batch_size: resolvedTraining?.batch_size ?? job.hyperparameters.batch_size ?? 'auto',
    learning_rate_multiplier:
      job.hyperparameters.learning_rate_multiplier === 'auto' && resolvedTraining
        ? 1
        : (job.hyperparameters.learning_rate_multiplier ?? 'auto'),
  };
  return {
    id: job.id,
    object: 'fine_tuning.job',
    created_at: unixSeconds(job.createdAt),
    created_by: job.personId ?? job.keyId,
    model: job.model,
    suffix: job.suffix,
    start_from: job.startFromModel,
    organization_id: job.teamId,
    status: wireStatus(job.state),
    training_file: job.trainingFileId,
    validation_file: job.validationFileId,
    system_prompt: job.systemPrompt,
    fine_tuned_model: job.fineTunedModel,
    finished_at: job.finishedAt && unixSeconds(job.finishedAt),
    trained_tokens: job.trainedTokens,
    hyperparameters,
    result_files: [],
    seed: job.seed,
    error: job.error,
    estimated_finish: fromNow(secondsRemaining),
    integrations: job.integrations,
    method: { type: job.method, [job.method]: { hyperparameters } },
    metadata: job.metadata,
    peft: job.peft,
    training: resolvedTraining ?? job.training,
    training_reasons:
      resolvedTraining &&
      trainingReasons({ ...job, continues: job.startFromModel !== null }, resolvedTraining),
    sweep: job.sweep?.grid ?? null,
    validation: validation && {
      bytes: validation.bytes,
      total_bytes: validation.totalBytes,
      examples: validation.examples,
    },
    data: job.dataCounts && toWireData(job.dataCounts),
    progress: toWireProgress(progress),
    priority: priorityOf(job),
    estimated_start: fromNow(place?.start?.median),
    estimated_start_latest: fromNow(place?.start?.late),
    queue_position: place?.position ?? null,
    estimate: job.estimate && toWireEstimate(job.estimate),
    training_end: job.trainingEnd && {
      step: job.trainingEnd.step,
      total_steps: job.trainingEnd.totalSteps,
      reason: job.trainingEnd.reason,
      published_step: job.trainingEnd.publishedStep,
      best: job.trainingEnd.best,
    },
  };
}

/** Unix seconds of a time `seconds` from now. */
function fromNow(seconds: number | null | undefined): number | null {
  return seconds === null || seconds === undefined ? null : Math.ceil(Date.now() / 1000 + seconds);
}

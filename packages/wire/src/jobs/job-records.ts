import { Type } from 'typebox';
import { After, limit, listOf } from '../list.ts';
import { longestNote } from '../lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, optional, ref, Time } from '../schema.ts';
import { OutlookSchema } from './job-outlook.ts';

export const EventSchema = named('FineTuningJobEvent', {
  id: Type.String(),
  object: Type.Literal('fine_tuning.job.event'),
  created_at: Time,
  level: oneOf(['info', 'warn', 'error']),
  message: Type.String(),
  type: oneOf(['message', 'metrics']),
  data: Type.Unsafe<Record<string, unknown>>({ type: 'object' }),
});

export const CheckpointSchema = named('FineTuningJobCheckpoint', {
  id: Type.String(),
  object: Type.Literal('fine_tuning.job.checkpoint'),
  created_at: Time,
  fine_tuned_model_checkpoint: Type.String({
    description: 'Name to use as `model` in completions if the checkpoint is `available`.',
  }),
  step_number: Type.Integer(),
  fine_tuning_job_id: Type.String(),
  available: Type.Boolean({
    description:
      'Whether the adapter of the checkpoint is stored, so that it can be called, downloaded and promoted to a version. The three newest of a job and the best one are.',
  }),
  best: Type.Boolean({ description: 'Whether the checkpoint is the best so far by metric_for_best_model.' }),
  bytes: Type.Integer({ description: 'Size of its files in bytes.' }),
  seconds: nullable(
    Type.Number({
      description:
        'Seconds taken to write the state that training resumes from. Null if there is no such state.',
    }),
  ),
  digest: nullable(Type.String(), {
    description:
      'Digest of the adapter, computed as for adapter versions. Null if the adapter is not stored.',
  }),
  files: Type.Array(Type.Object({ path: Type.String(), bytes: Type.Integer(), sha256: Type.String() }), {
    description: 'Files of the adapter.',
  }),
  metrics: Type.Partial(
    Type.Object({
      step: Type.Number(),
      train_loss: Type.Number(),
      train_mean_token_accuracy: Type.Number(),
      valid_loss: Type.Number(),
      valid_mean_token_accuracy: Type.Number(),
      full_valid_loss: Type.Number(),
      full_valid_mean_token_accuracy: Type.Number(),
    }),
  ),
});

export const MetricSchema = named('FineTuningJobMetric', {
  object: Type.Literal('fine_tuning.job.metric'),
  kind: oneOf(['train', 'evaluation']),
  step: Type.Integer(),
  epoch: nullable(Type.Number()),
  loss: Type.Number(),
  metrics: Type.Unsafe<Record<string, number>>({
    type: 'object',
    additionalProperties: { type: 'number' },
    description:
      'All other measurements, by name; for an evaluation, the metrics of the objective. `objectives` of GET /v1/fine_tuning/options describes each.',
  }),
  token_accuracy: nullable(Type.Number()),
  learning_rate: nullable(Type.Number()),
  grad_norm: nullable(Type.Number()),
  tokens: nullable(Type.Integer({ description: 'Number of tokens trained so far.' })),
  tokens_per_second: nullable(Type.Number()),
  memory_bytes: nullable(
    Type.Integer({
      description:
        'Memory of the training process after the step, in bytes: memory of the machine, also when training on a GPU. ' +
        'The maximum over all steps is the peak memory. Null for an evaluation, and for a step of a version that did not measure it.',
    }),
  ),
  trial: nullable(Type.Integer(), {
    description:
      'Trial that the metric belongs to in a sweep, whose `step` and `tokens` count all trials. Null without a sweep.',
  }),
  trial_step: nullable(Type.Integer({ description: 'Step within the trial.' })),
  created_at: Time,
  stretch: Type.Optional(
    Type.Object(
      {
        first_step: Type.Integer(),
        last_step: Type.Integer(),
        count: Type.Integer({ description: 'Number of metrics in the bucket.' }),
        loss_min: Type.Number(),
        loss_max: Type.Number(),
        loss_mean: Type.Number(),
        memory_bytes_max: nullable(
          Type.Integer({
            description:
              'Maximum memory in the bucket, in bytes. Null if none of its metrics has a memory value.',
          }),
        ),
      },
      {
        description:
          'With `resolution`: the bucket of steps that this metric, its last, represents, with statistics of their loss and memory.',
      },
    ),
  ),
});

export const AttemptSchema = named('FineTuningJobAttempt', {
  id: Type.String({ description: 'Id of the attempt, for use as `after`.' }),
  object: Type.Literal('fine_tuning.job.attempt'),
  kind: oneOf(['training', 'validation']),
  worker: Type.String({ description: 'Id of the worker process that ran the job.' }),
  started_at: Time,
  ended_at: nullable(
    Type.Integer({
      description:
        'Unix timestamp (in seconds) of the end. Null while the attempt runs. For a lost attempt, its last heartbeat.',
    }),
  ),
  from_step: nullable(
    Type.Integer({ description: 'Step of the checkpoint that training resumed from. 0 if there was none.' }),
  ),
  last_step: nullable(Type.Integer({ description: 'Last step that the attempt reported.' })),
  outcome: nullable(
    oneOf(['succeeded', 'failed', 'cancelled', 'paused', 'released', 'lost', 'environment'], {
      description:
        'How the attempt ended. `released`: the worker shut down cleanly. `lost`: the worker crashed or lost its connection. `environment`: the worker could not run the job.',
    }),
  ),
  reason: nullable(Type.String()),
});

/** A page of attempts, and the forecast of the next one. */
export const AttemptListSchema = named('FineTuningJobAttemptList', {
  ...listOf(AttemptSchema).properties,
  outlook: nullable(ref(OutlookSchema), {
    description: 'Forecast of the next attempt. Null for a job that has ended.',
  }),
});

export const ListAttemptsQuery = input({
  after: Type.Optional(
    Type.String({
      pattern: '^attempt-[0-9]{1,9}$',
      description: 'Id of the last object of the previous page.',
    }),
  ),
  limit: limit(100, 1000),
});

export const ListEventsQuery = input({
  after: After,
  limit: limit(20, 1000),
  stream: Type.Boolean({
    default: false,
    description:
      'Whether to return server-sent events instead of a page: all events from the first, then new events as they occur, and `data: [DONE]` after the last. Last-Event-ID continues after that event.',
  }),
});

export const ListCheckpointsQuery = input({
  after: After,
  limit: limit(10, 1000),
  all: Type.Boolean({
    default: false,
    description:
      'Whether to include checkpoints that training can resume from but whose adapter is not stored. They have `available` false, and their names return 404.',
  }),
});

export const ListMetricsQuery = input({
  after_step: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description:
        'Only metrics after this step. To get the next page, pass the last step of the previous page.',
    }),
  ),
  limit: Type.Integer({
    minimum: 1,
    maximum: 5000,
    default: 1000,
    description: 'Number of steps per page. A step with an evaluation has two metrics.',
  }),
  ...optional({
    until_step: Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description: 'Only metrics up to this step. Requires `resolution`.',
    }),
    resolution: Type.Integer({
      minimum: 1,
      maximum: 2000,
      description:
        'Maximum number of buckets. If given, the whole series is returned instead of a page, downsampled to buckets of equal width, each with its last step and its `stretch`; `limit` does not apply.',
    }),
  }),
});

/** A page of metrics, which have no ids to page by. */
export const MetricListSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(ref(MetricSchema)),
  has_more: Type.Boolean(),
});

export const LossCurvesQuery = input({
  ids: Type.String({
    pattern: '^[\\w-]{1,64}(,[\\w-]{1,64}){0,99}$',
    description: 'Ids of up to 100 jobs, separated by commas.',
  }),
  points: Type.Integer({
    minimum: 2,
    maximum: 100,
    default: 32,
    description: 'Maximum number of points per curve.',
  }),
});

export const LossCurveSchema = named('FineTuningJobLosses', {
  object: Type.Literal('fine_tuning.job.losses'),
  fine_tuning_job_id: Type.String(),
  steps: Type.Array(Type.Integer(), { description: 'Steps, in ascending order.' }),
  losses: Type.Array(Type.Number(), { description: 'Training loss at each of these steps.' }),
});

export const LossCurveListSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(ref(LossCurveSchema)),
  has_more: Type.Boolean({ description: 'Always false.' }),
});

export const CheckpointParams = Type.Object({
  fine_tuning_job_id: Type.String(),
  checkpoint_id: Type.String(),
});

export const PromoteCheckpointSchema = namedInput('PromoteCheckpoint', {
  name: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
      description: 'Name of the adapter that gets a new version. Default: the adapter of the job.',
    }),
  ),
  note: Type.Optional(nullable(Type.String({ maxLength: longestNote }))),
});

export const DeletedCheckpointSchema = deletedSchema('DeletedCheckpoint', 'fine_tuning.job.checkpoint');

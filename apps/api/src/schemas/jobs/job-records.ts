import {
  type Job,
  type JobAttempt,
  type JobEvent,
  type ListedCheckpoint,
  longestNote,
  type MetricStretch,
  type StoredMetric,
} from '@graft/service';
import { type Static, Type } from 'typebox';
import { After, limit, listOf } from '../list.ts';
import { deletedSchema, input, named, namedInput, nullable, ref, Time, unixSeconds } from '../schema.ts';
import { OutlookSchema } from './job-outlook.ts';

export const EventSchema = named('FineTuningJobEvent', {
  id: Type.String(),
  object: Type.Literal('fine_tuning.job.event'),
  created_at: Time,
  level: Type.Enum(['info', 'warn', 'error'], { type: 'string' }),
  message: Type.String(),
  type: Type.Enum(['message', 'metrics'], { type: 'string' }),
  data: Type.Unsafe<Record<string, unknown>>({ type: 'object' }),
});

export const CheckpointSchema = named('FineTuningJobCheckpoint', {
  id: Type.String(),
  object: Type.Literal('fine_tuning.job.checkpoint'),
  created_at: Time,
  fine_tuned_model_checkpoint: Type.String({
    description: 'What completions take as `model`, if it is `available`.',
  }),
  step_number: Type.Integer(),
  fine_tuning_job_id: Type.String(),
  available: Type.Boolean({
    description:
      'Whether its adapter is kept, so that it can be called, downloaded and made a version: the three newest of a job, and the best.',
  }),
  best: Type.Boolean({ description: 'Whether it is the best by metric_for_best_model so far.' }),
  bytes: Type.Integer({ description: 'Of its files.' }),
  seconds: nullable(
    Type.Number({
      description: 'How long it took to write the state that training resumes from; null: there is none.',
    }),
  ),
  digest: nullable(Type.String(), { description: 'Of the adapter, as of versions; null: it is not kept.' }),
  files: Type.Array(Type.Object({ path: Type.String(), bytes: Type.Integer(), sha256: Type.String() }), {
    description: 'Of the adapter.',
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
  kind: Type.Enum(['train', 'evaluation'], { type: 'string' }),
  step: Type.Integer(),
  epoch: nullable(Type.Number()),
  loss: Type.Number(),
  metrics: Type.Unsafe<Record<string, number>>({
    type: 'object',
    additionalProperties: { type: 'number' },
    description:
      'Everything that was measured besides, by name: of an evaluation the metrics of the objective. `objectives` of GET /v1/fine_tuning/options describes each.',
  }),
  token_accuracy: nullable(Type.Number()),
  learning_rate: nullable(Type.Number()),
  grad_norm: nullable(Type.Number()),
  tokens: nullable(Type.Integer({ description: 'Trained so far.' })),
  tokens_per_second: nullable(Type.Number()),
  memory_bytes: nullable(
    Type.Integer({
      description:
        'Bytes that the process which trains held after the step, of the machine’s memory also where it trains on a GPU. ' +
        'Peak memory is the most of it. Null of an evaluation, and of a step of a version that did not measure it.',
    }),
  ),
  trial: nullable(Type.Integer(), {
    description: 'In a sweep, whose steps and tokens count all trials: the trial that it belongs to.',
  }),
  trial_step: nullable(Type.Integer({ description: 'The step within its trial.' })),
  created_at: Time,
  stretch: Type.Optional(
    Type.Object(
      {
        first_step: Type.Integer(),
        last_step: Type.Integer(),
        count: Type.Integer({ description: 'Metrics in it.' }),
        loss_min: Type.Number(),
        loss_max: Type.Number(),
        loss_mean: Type.Number(),
        memory_bytes_max: nullable(
          Type.Integer({ description: 'The most of any of them; null where none has it.' }),
        ),
      },
      {
        description:
          'With `resolution`: the steps that this one, the last of them, stands for, their losses and most memory.',
      },
    ),
  ),
});

export const AttemptSchema = named('FineTuningJobAttempt', {
  id: Type.String({ description: 'What `after` takes.' }),
  object: Type.Literal('fine_tuning.job.attempt'),
  kind: Type.Enum(['training', 'validation'], { type: 'string' }),
  worker: Type.String({ description: 'The process that had the job.' }),
  started_at: Time,
  ended_at: nullable(
    Type.Integer({ description: 'Null while it is under way. Of a lost one, its last sign of life.' }),
  ),
  from_step: nullable(Type.Integer({ description: 'The checkpoint that it resumed from; 0: none.' })),
  last_step: nullable(Type.Integer({ description: 'The last step that it reported.' })),
  outcome: nullable(
    Type.Enum(['succeeded', 'failed', 'cancelled', 'paused', 'released', 'lost', 'environment'], {
      type: 'string',
      description:
        'released: the worker stopped in good order; lost: it died or was cut off; environment: it could not run the job.',
    }),
  ),
  reason: nullable(Type.String()),
});

/** A page of attempts, and the forecast of the next one. */
export const AttemptListSchema = named('FineTuningJobAttemptList', {
  ...listOf(AttemptSchema).properties,
  outlook: nullable(ref(OutlookSchema), { description: 'Null for a job that is over.' }),
});

export const ListAttemptsQuery = input({
  after: Type.Optional(
    Type.String({
      pattern: '^attempt-[0-9]{1,9}$',
      description: 'Id of the last object of the page before.',
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
      'Server-sent events instead of a page: every event from the first one, then live events, `data: [DONE]` after the last. Last-Event-ID continues after that event.',
  }),
});

export const ListCheckpointsQuery = input({
  after: After,
  limit: limit(10, 1000),
  all: Type.Boolean({
    default: false,
    description:
      'Also the steps that training can resume from and whose adapter is not kept: they have `available` false, and their names answer 404.',
  }),
});

export const ListMetricsQuery = input({
  after_step: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description: 'Only what follows this step. Page on with the last step of the page before.',
    }),
  ),
  limit: Type.Integer({
    minimum: 1,
    maximum: 5000,
    default: 1000,
    description: 'Steps of one page. A step that was evaluated has two metrics.',
  }),
  until_step: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 2_147_483_647,
      description: 'With `resolution`: only what is up to this step.',
    }),
  ),
  resolution: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 2000,
      description:
        'Returns the whole series instead of a page, downsampled to at most this many buckets of equal width, each with its last step and its `stretch`; `limit` does not apply.',
    }),
  ),
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
    description: 'Of up to 100 jobs, with commas between them.',
  }),
  points: Type.Integer({ minimum: 2, maximum: 100, default: 32, description: 'Of each curve, at most.' }),
});

export const LossCurveSchema = named('FineTuningJobLosses', {
  object: Type.Literal('fine_tuning.job.losses'),
  fine_tuning_job_id: Type.String(),
  steps: Type.Array(Type.Integer(), { description: 'Ascending.' }),
  losses: Type.Array(Type.Number(), { description: 'Of training, at each of these steps.' }),
});

export const LossCurveListSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(ref(LossCurveSchema)),
  has_more: Type.Boolean({ description: 'Always false.' }),
});

/** Rounds a value for an integer field, since stored metrics may be any number. */
const whole = (value: number | null | undefined): number | null => (value == null ? null : Math.round(value));

export function toWireMetric(metric: StoredMetric | MetricStretch): Static<typeof MetricSchema> {
  const stretch = 'stretch' in metric ? metric.stretch : null;
  const { metrics } = metric;
  return {
    object: 'fine_tuning.job.metric',
    kind: metric.kind,
    step: metric.step,
    epoch: metric.epoch ?? null,
    loss: metric.loss,
    metrics,
    token_accuracy: metrics.token_accuracy ?? null,
    learning_rate: metrics.learning_rate ?? null,
    grad_norm: metrics.grad_norm ?? null,
    tokens: metric.tokens ?? null,
    tokens_per_second: metrics.tokens_per_second ?? null,
    memory_bytes: whole(metrics.memory_bytes),
    trial: metric.trial ?? null,
    trial_step: metric.trialStep ?? null,
    created_at: unixSeconds(metric.createdAt),
    ...(stretch && {
      stretch: {
        first_step: stretch.firstStep,
        last_step: stretch.lastStep,
        count: stretch.count,
        loss_min: stretch.lossMin,
        loss_max: stretch.lossMax,
        loss_mean: stretch.lossMean,
        memory_bytes_max: whole(stretch.memoryBytesMax),
      },
    }),
  };
}

export function toWireEvent(event: JobEvent): Static<typeof EventSchema> {
  return {
    id: event.id,
    object: 'fine_tuning.job.event',
    created_at: unixSeconds(event.createdAt),
    level: event.level,
    message: event.message,
    type: event.type,
    data: event.data ?? {},
  };
}

export function toWireCheckpoint(job: Pick<Job, 'id'>, modelName: string) {
  return ({ id, step, state, adapter }: ListedCheckpoint): Static<typeof CheckpointSchema> => {
    const { createdAt, metrics, bytes } = (adapter ?? state)!;
    const { trainLoss, trainTokenAccuracy, validationLoss, validationTokenAccuracy } = metrics;
    return {
      id,
      object: 'fine_tuning.job.checkpoint',
      created_at: unixSeconds(createdAt),
      fine_tuned_model_checkpoint: adapter?.modelName ?? `${modelName}:ckpt-step-${step}`,
      step_number: step,
      fine_tuning_job_id: job.id,
      available: adapter !== null,
      best: adapter?.isBest ?? false,
      bytes,
      seconds: state?.seconds ?? null,
      digest: adapter?.digest ?? null,
      files: adapter?.files ?? [],
      metrics: present({
        step,
        train_loss: trainLoss,
        train_mean_token_accuracy: trainTokenAccuracy,
        // Graft always evaluates the whole validation set.
        valid_loss: validationLoss,
        valid_mean_token_accuracy: validationTokenAccuracy,
        full_valid_loss: validationLoss,
        full_valid_mean_token_accuracy: validationTokenAccuracy,
      }),
    };
  };
}

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
      description: "Name of the adapter whose next version it becomes; the job's own if it is left out.",
    }),
  ),
  note: Type.Optional(nullable(Type.String({ maxLength: longestNote }))),
});

export const DeletedCheckpointSchema = deletedSchema('DeletedCheckpoint', 'fine_tuning.job.checkpoint');

/** Attempts are numbered by the lease epochs of their job. */
export function toWireAttempt(attempt: JobAttempt): Static<typeof AttemptSchema> {
  return {
    id: `attempt-${attempt.leaseEpoch}`,
    object: 'fine_tuning.job.attempt',
    kind: attempt.kind,
    worker: attempt.workerId,
    started_at: unixSeconds(attempt.startedAt),
    ended_at: attempt.endedAt && unixSeconds(attempt.endedAt),
    from_step: attempt.fromStep,
    last_step: attempt.lastStep,
    outcome: attempt.outcome,
    reason: attempt.reason,
  };
}

function present(values: Record<string, number | null | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}

import type {
  Job,
  JobAttempt,
  JobEvent,
  ListedCheckpoint,
  MetricStretch,
  StoredMetric,
} from '@graft/service/jobs';
import type {
  AttemptSchema,
  CheckpointSchema,
  EventSchema,
  MetricSchema,
} from '@graft/wire/jobs/job-records';
import type { Static } from 'typebox';
import { unixSeconds } from './list.ts';

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

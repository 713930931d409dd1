import { type PeftWarning, preferenceMethods, trainingReasons } from '@graft/peft-core/config';
import {
  type DataCounts,
  type Job,
  type JobEstimate,
  type JobProgress,
  priorityOf,
  type QueuePlace,
  wireStatus,
} from '@graft/service/jobs';
import type { DataSchema } from '@graft/wire/jobs/data-counts';
import type { EstimateSchema } from '@graft/wire/jobs/estimate';
import type { JobSchema } from '@graft/wire/jobs/fine-tuning-job';
import type { ProgressSchema } from '@graft/wire/jobs/job-progress';
import type { Method } from '@graft/wire/jobs/method';
import type { Static } from 'typebox';
import { unixSeconds } from './list.ts';

/** Counts in the API's format. Jobs of earlier versions lack the newer counts. */
export function toWireData(counts: DataCounts): Static<typeof DataSchema> {
  const { training, validation, longest = null, overlap = null, duplicates = null } = counts;
  const { badLines = [], unreadColumns = [] } = counts;
  return {
    training,
    validation,
    longest,
    overlap,
    training_files: counts.trainingFiles ?? null,
    validation_files: counts.validationFiles ?? null,
    bad_lines: badLines.map(({ param, line = 0, message, count, lines }) => ({
      file: param,
      line,
      message,
      ...(count !== undefined && lines && { count, lines }),
    })),
    unread_columns: unreadColumns.map(({ param, name, values }) => ({ file: param, name, values })),
    duplicates,
  };
}

const unreadWarning = ({ unread }: JobEstimate): PeftWarning[] =>
  unread === undefined ? [] : [{ param: 'training.columns', message: unread }];

/** `warnings`: only for a job that does not exist yet. */
export function toWireEstimate(
  estimate: JobEstimate,
  warnings?: readonly PeftWarning[],
): Static<typeof EstimateSchema> {
  return {
    object: 'fine_tuning.estimate',
    trainable_parameters: estimate.trainableParameters,
    total_parameters: estimate.totalParameters,
    peak_memory_bytes: estimate.peakMemoryBytes,
    tokens: estimate.tokens,
    steps: estimate.steps,
    seconds: estimate.seconds,
    fits: estimate.fits,
    changes: estimate.changes.map(({ training, peakMemoryBytes }) => ({
      training,
      peak_memory_bytes: peakMemoryBytes,
    })),
    workers: estimate.workers,
    memory_bytes: estimate.memoryBytes,
    device: estimate.machine.device,
    precision: estimate.machine.precision,
    ...(warnings && { warnings: [...warnings, ...unreadWarning(estimate)] }),
  };
}

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
    ...(preferenceMethods.includes(job.method)
      ? { beta: betaOf(resolvedTraining) ?? job.hyperparameters.beta ?? 'auto' }
      : {}),
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
    training_files: job.trainingFiles,
    validation_files: job.validationFiles,
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
    method: { type: job.method, [job.method]: { hyperparameters } } as Method,
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

const betaOf = (training: Job['resolvedTraining']): number | undefined =>
  training?.preference?.beta as number | undefined;

export function toWireProgress(progress: JobProgress | null): Static<typeof ProgressSchema> | null {
  return (
    progress && {
      step: progress.step,
      total_steps: progress.totalSteps,
      epoch: progress.epoch,
      tokens: progress.tokens,
      tokens_per_second: progress.tokensPerSecond,
      seconds_remaining: progress.secondsRemaining,
      loss: progress.loss ?? null,
      gpu: progress.gpu
        ? {
            model: progress.gpu.model,
            memory_used_bytes: progress.gpu.usedBytes,
            memory_total_bytes: progress.gpu.totalBytes,
            utilization: progress.gpu.utilization,
            temperature: progress.gpu.temperature,
          }
        : null,
    }
  );
}

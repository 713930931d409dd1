import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  fineTunedModelName,
  isTerminal,
  type JobTrial,
  listAttempts,
  listJobCheckpoints,
  listTrials,
  type QueueForecast,
  readMetricStretches,
  readMetrics,
  readQueueForecast,
} from '@graft/service/jobs';
import { JobParams } from '@graft/wire/jobs/fine-tuning-job';
import type { OutlookSchema } from '@graft/wire/jobs/job-outlook';
import {
  AttemptListSchema,
  CheckpointSchema,
  ListAttemptsQuery,
  ListCheckpointsQuery,
  ListMetricsQuery,
  MetricListSchema,
} from '@graft/wire/jobs/job-records';
import { TrialListSchema, type TrialSchema } from '@graft/wire/jobs/job-trial';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { toWireAttempt, toWireCheckpoint, toWireMetric } from '../../answers/job-records.ts';
import { toWireList, unixSeconds } from '../../answers/list.ts';
import { findJob } from './find-job.ts';
import { operation, readingJob } from './operation.ts';

/** /fine_tuning/jobs/{id}/checkpoints, /metrics, /attempts and /trials: what is recorded of a job. */
export const jobRecordRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/checkpoints',
    operation(readingJob, 'List the checkpoints of a job', listOf(CheckpointSchema), {
      description:
        'Newest first. Returns the checkpoints whose adapter is stored, each of which can be used as `model` in completions; with `all`, also the other checkpoints that training can resume from.',
      params: JobParams,
      querystring: ListCheckpointsQuery,
    }),
    async (request) => {
      const job = await findJob(services, request.caller.teamId, request.params.fine_tuning_job_id);
      const modelName = job.fineTunedModel ?? fineTunedModelName(job, request.caller.teamName);
      const { all, ...query } = request.query;
      const page = await listJobCheckpoints(services, job.teamId, job.id, { ...query, kept: !all });
      return toWireList(page, toWireCheckpoint(job, modelName));
    },
  );

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/metrics',
    operation(readingJob, 'Get the metrics of a job', MetricListSchema, {
      description:
        'In ascending order of steps, page by page, or with `resolution` the whole series downsampled for a plot.',
      params: JobParams,
      querystring: ListMetricsQuery,
    }),
    async (request) => {
      const job = await findJob(services, request.caller.teamId, request.params.fine_tuning_job_id);
      const { after_step: afterStep, until_step: untilStep, limit, resolution } = request.query;
      const range = { afterStep, untilStep, resolution: resolution ?? 0 };
      const { data, hasMore } = resolution
        ? { data: await readMetricStretches(services, job.teamId, job.id, range), hasMore: false }
        : await readMetrics(services, job.teamId, job.id, { afterStep, limit });
      return { object: 'list' as const, data: data.map(toWireMetric), has_more: hasMore };
    },
  );

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/attempts',
    operation(readingJob, 'List the attempts of a job', ref(AttemptListSchema), {
      description:
        'Oldest first: each time a process validated or trained the job, and what the job waits for now.',
      params: JobParams,
      querystring: ListAttemptsQuery,
    }),
    async (request) => {
      const { teamId } = request.caller;
      const job = await findJob(services, teamId, request.params.fine_tuning_job_id);
      const { after, limit } = request.query;
      const found = await listAttempts(services, teamId, job.id, {
        limit: limit + 1,
        after: after === undefined ? undefined : Number(after.slice('attempt-'.length)),
      });
      const page = { data: found.slice(0, limit), hasMore: found.length > limit };
      const outlook = isTerminal(job.state) ? null : toWireOutlook(await readQueueForecast(services, job));
      return { ...toWireList(page, toWireAttempt), outlook };
    },
  );

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/trials',
    operation(readingJob, 'List the trials of a job', ref(TrialListSchema), {
      description: 'In order. Empty for a job without `sweep`.',
      params: JobParams,
    }),
    async (request) => {
      const { teamId } = request.caller;
      const job = await findJob(services, teamId, request.params.fine_tuning_job_id);
      const data = toWireTrials(await listTrials(services, teamId, job.id));
      return { object: 'list' as const, data, has_more: false };
    },
  );
};

function toWireOutlook(outlook: QueueForecast): Static<typeof OutlookSchema> {
  return {
    run_after: outlook.runAfter && unixSeconds(outlook.runAfter),
    avoids_worker: outlook.avoidsWorker,
    quarantined_workers: outlook.quarantined,
    attempts_left: outlook.attemptsLeft,
    requirements: outlook.requirements && {
      precision: outlook.requirements.precision,
      threads: outlook.requirements.threads,
      device: outlook.requirements.device,
      kernels: outlook.requirements.kernels ?? 'stock',
      gpu: outlook.requirements.gpu ?? null,
      micro_batch: outlook.requirements.microBatch ?? null,
    },
    has_worker: outlook.hasWorker,
  };
}

function toWireTrials(trials: readonly JobTrial[]): Static<typeof TrialSchema>[] {
  return trials.map((trial) => ({
    object: 'fine_tuning.job.trial',
    trial: trial.trial,
    status: trial.status,
    tied_with: tiedWith(trial, trials),
    step: trial.step,
    rungs: trial.rungs.map(({ step, loss, ...value }) => ({ step, valid_loss: loss, ...value })),
    peft: trial.peft,
    training: trial.resolvedTraining ?? trial.training,
  }));
}

function tiedWith({ status, trial, rungs }: JobTrial, trials: readonly JobTrial[]): number | null {
  const last = rungs.at(-1);
  if (status !== 'stopped' || !last || last.loss === null) return null;
  const same = trials.find((other) => {
    const rung = other.rungs.find(({ step }) => step === last.step);
    const continued = other.status !== 'stopped' || other.rungs.at(-1) !== rung;
    return other.trial < trial && rung?.loss === last.loss && rung.value === last.value && continued;
  });
  return same?.trial ?? null;
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { fineTunedModelName, listJobCheckpoints, readMetricStretches, readMetrics } from '@graft/service';
import { JobParams } from '../../schemas/jobs/fine-tuning-job.ts';
import {
  CheckpointSchema,
  ListCheckpointsQuery,
  ListMetricsQuery,
  MetricListSchema,
  toWireCheckpoint,
  toWireMetric,
} from '../../schemas/jobs/job-records.ts';
import { listOf, toWireList } from '../../schemas/list.ts';
import { operations } from '../operation.ts';
import { findJob } from './find-job.ts';

const operation = operations('Fine-tuning');

/** /fine_tuning/jobs/{id}/checkpoints and /metrics: the checkpoints and metrics of training. */
export const jobRecordRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/checkpoints',
    operation(
      { access: { scope: 'jobs:read', models: 'job' } },
      'List the checkpoints of a job',
      listOf(CheckpointSchema),
      {
        description:
          'Newest first: the steps whose adapter is kept, each of which completions take as a model. With `all` also the other steps that training can resume from.',
        params: JobParams,
        querystring: ListCheckpointsQuery,
      },
    ),
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
    operation(
      { access: { scope: 'jobs:read', models: 'job' } },
      'Get the metrics of a job',
      MetricListSchema,
      {
        description:
          'Steps ascending, by the page, or with `resolution` the whole series summed up, as a plot shows it.',
        params: JobParams,
        querystring: ListMetricsQuery,
      },
    ),
    async (request) => {
      const job = await findJob(services, request.caller.teamId, request.params.fine_tuning_job_id);
      const { after_step: afterStep, until_step: untilStep, limit, resolution } = request.query;
      const { data, hasMore } = resolution
        ? {
            data: await readMetricStretches(services, job.teamId, job.id, {
              afterStep,
              untilStep,
              resolution,
            }),
            hasMore: false,
          }
        : await readMetrics(services, job.teamId, job.id, { afterStep, limit });
      return { object: 'list' as const, data: data.map(toWireMetric), has_more: hasMore };
    },
  );
};

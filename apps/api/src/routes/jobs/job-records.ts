import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { fineTunedModelName, listJobCheckpoints, readMetricStretches, readMetrics } from '@graft/service';
import { errorResponses } from '../../schemas/error.ts';
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
import { findJob } from './find-job.ts';

const tags = ['Fine-tuning'];

/** /fine_tuning/jobs/{id}/checkpoints and /metrics: the checkpoints and metrics of training. */
export const jobRecordRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/checkpoints',
    {
      config: { access: { scope: 'jobs:read', models: 'job' } },
      schema: {
        tags,
        summary: 'List the checkpoints of a job',
        description:
          'Newest first: the steps whose adapter is kept, each of which completions take as a model. With `all` also the other steps that training can resume from.',
        params: JobParams,
        querystring: ListCheckpointsQuery,
        response: { 200: listOf(CheckpointSchema), ...errorResponses(400, 401, 404) },
      },
    },
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
    {
      config: { access: { scope: 'jobs:read', models: 'job' } },
      schema: {
        tags,
        summary: 'Get the metrics of a job',
        description:
          'Steps ascending, by the page, or with `resolution` the whole series summed up, as a plot shows it.',
        params: JobParams,
        querystring: ListMetricsQuery,
        response: { 200: MetricListSchema, ...errorResponses(400, 401, 404) },
      },
    },
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

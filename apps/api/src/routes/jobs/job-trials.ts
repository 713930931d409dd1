import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { listTrials } from '@graft/service';
import { JobParams } from '../../schemas/jobs/fine-tuning-job.ts';
import { TrialListSchema, toWireTrials } from '../../schemas/jobs/job-trial.ts';
import { ref } from '../../schemas/schema.ts';
import { operations } from '../operation.ts';
import { findJob } from './find-job.ts';

const operation = operations('Fine-tuning');

/** /fine_tuning/jobs/{id}/trials: the trials of a sweep and their progress. */
export const jobTrialRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/trials',
    operation(
      { access: { scope: 'jobs:read', models: 'job' } },
      'List the trials of a job',
      ref(TrialListSchema),
      { description: 'In their order; empty for a job without `sweep`.', params: JobParams },
    ),
    async (request) => {
      const { teamId } = request.caller;
      const job = await findJob(services, teamId, request.params.fine_tuning_job_id);
      const data = toWireTrials(await listTrials(services, teamId, job.id));
      return { object: 'list' as const, data, has_more: false };
    },
  );
};

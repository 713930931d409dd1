import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { isTerminal, listAttempts, readOutlook } from '@graft/service';
import { JobParams } from '../../schemas/jobs/fine-tuning-job.ts';
import { toWireOutlook } from '../../schemas/jobs/job-outlook.ts';
import { AttemptListSchema, ListAttemptsQuery, toWireAttempt } from '../../schemas/jobs/job-records.ts';
import { toWireList } from '../../schemas/list.ts';
import { ref } from '../../schemas/schema.ts';
import { operations } from '../operation.ts';
import { findJob } from './find-job.ts';

const operation = operations('Fine-tuning');

/** /fine_tuning/jobs/{id}/attempts: which process worked on a job when, how each attempt ended, and what happens next. */
export const jobAttemptRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/attempts',
    operation(
      { access: { scope: 'jobs:read', models: 'job' } },
      'List the attempts of a job',
      ref(AttemptListSchema),
      {
        description:
          'Oldest first: each time that a process validated or trained the job, and what the job waits for now.',
        params: JobParams,
        querystring: ListAttemptsQuery,
      },
    ),
    async (request) => {
      const { teamId } = request.caller;
      const job = await findJob(services, teamId, request.params.fine_tuning_job_id);
      const { after, limit } = request.query;
      const found = await listAttempts(services, teamId, job.id, {
        limit: limit + 1,
        after: after === undefined ? undefined : Number(after.slice('attempt-'.length)),
      });
      const page = { data: found.slice(0, limit), hasMore: found.length > limit };
      const outlook = isTerminal(job.state) ? null : toWireOutlook(await readOutlook(services, job));
      return { ...toWireList(page, toWireAttempt), outlook };
    },
  );
};

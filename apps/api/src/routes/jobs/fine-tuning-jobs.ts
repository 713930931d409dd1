import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { cancelJob, deleteJob, listJobs, pauseJob, resumeJob, setJobPriority } from '@graft/service/jobs';
import { DeletedJobSchema, DeleteJobQuery } from '@graft/wire/jobs/delete-job';
import { JobParams, JobSchema, ListJobsQuery, UpdateJobSchema } from '@graft/wire/jobs/fine-tuning-job';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { createdSpan, toWireList } from '../../answers/list.ts';
import type { JobWriter } from '../../jobs/job-writer.ts';
import { found } from '../../not-found.ts';
import { checkScope } from '../../plugins/auth.ts';
import { findJob } from './find-job.ts';
import { operation, readingJob } from './operation.ts';

const changing = { access: { scope: 'jobs:write', models: 'job', answer: 'jobs:read' } } as const;

/** /fine_tuning/jobs: lists, reads, changes and deletes jobs; cancels, pauses and resumes them. */
export const fineTuningJobRoutes: FastifyPluginAsyncTypebox<{ writer: JobWriter }> = async (
  app,
  { writer: { wire, wireAll } },
) => {
  const { services } = app;

  app.get(
    '/fine_tuning/jobs',
    operation(
      { access: { scope: 'jobs:read', models: 'filtered' } },
      'List fine-tuning jobs',
      listOf(JobSchema),
      {
        description: 'Newest first. Several filters together return the jobs that match all of them.',
        querystring: ListJobsQuery,
      },
    ),
    async (request) => {
      const page = await listJobs(services, request.caller.teamId, {
        ...request.query,
        createdBy: request.query.created_by,
        created: createdSpan(request.query),
        models: request.modelLimit(),
      });
      return toWireList({ ...page, data: await wireAll(page.data) }, (job) => job);
    },
  );

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id',
    operation(readingJob, 'Get a fine-tuning job', ref(JobSchema), { params: JobParams }),
    async ({ caller, params }) =>
      await wire(await findJob(services, caller.teamId, params.fine_tuning_job_id)),
  );

  app.post(
    '/fine_tuning/jobs/:fine_tuning_job_id',
    operation(changing, 'Update the priority of a job', ref(JobSchema), {
      description: 'Possible until the job has ended.',
      params: JobParams,
      body: ref(UpdateJobSchema),
    }),
    async ({ caller, params: { fine_tuning_job_id: id }, body: { priority } }) =>
      await wire(found(await setJobPriority(services, caller.teamId, id, priority, caller), 'job', id)),
  );

  app.delete(
    '/fine_tuning/jobs/:fine_tuning_job_id',
    operation(
      { access: { scope: 'jobs:write', models: 'job', answer: 'own' } },
      'Delete a job',
      ref(DeletedJobSchema),
      {
        description:
          'Deletes a job that has ended, with its events, metrics, attempts and checkpoints. Its usage and its audit log entries remain.',
        params: JobParams,
        querystring: DeleteJobQuery,
      },
    ),
    async ({ caller, params: { fine_tuning_job_id: id }, query }) => {
      const adapter = query.adapters === 'delete';
      if (adapter) checkScope(caller, 'adapters:write');
      found(await deleteJob(services, caller.teamId, id, { adapter }, caller), 'job', id);
      return { id, object: 'fine_tuning.job' as const, deleted: true as const };
    },
  );

  const transitions = {
    cancel: { change: cancelJob, description: 'A running job stops within two seconds.' },
    pause: { change: pauseJob, description: 'A running job writes a checkpoint first.' },
    resume: { change: resumeJob, description: 'The job continues from its last checkpoint.' },
  };
  for (const [verb, { change, description }] of Object.entries(transitions)) {
    const summary = `${verb[0]!.toUpperCase()}${verb.slice(1)} a job`;
    app.post(
      `/fine_tuning/jobs/:fine_tuning_job_id/${verb}`,
      operation(changing, summary, ref(JobSchema), { description, params: JobParams }),
      async ({ caller, params }) => {
        const { fine_tuning_job_id: id } = params as Static<typeof JobParams>;
        if (verb === 'resume') await app.checkBudget(caller.teamId);
        return await wire(found(await change(services, caller.teamId, id, caller), 'job', id));
      },
    );
  }
};

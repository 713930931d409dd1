import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { cancelJob, deleteJob, listJobs, pauseJob, resumeJob, setJobPriority } from '@graft/service';
import type { Static } from 'typebox';
import type { JobWriter } from '../../jobs/job-writer.ts';
import { checkScope } from '../../plugins/auth.ts';
import { DeletedJobSchema, DeleteJobQuery } from '../../schemas/jobs/delete-job.ts';
import { JobParams, JobSchema, ListJobsQuery, UpdateJobSchema } from '../../schemas/jobs/fine-tuning-job.ts';
import { createdSpan, listOf, toWireList } from '../../schemas/list.ts';
import { ref } from '../../schemas/schema.ts';
import { operations } from '../operation.ts';
import { findJob, jobNotFound } from './find-job.ts';

const operation = operations('Fine-tuning');

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
      { description: 'Newest first. Filters together keep what all of them do.', querystring: ListJobsQuery },
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
    operation({ access: { scope: 'jobs:read', models: 'job' } }, 'Get a fine-tuning job', ref(JobSchema), {
      params: JobParams,
    }),
    async (request) =>
      await wire(await findJob(services, request.caller.teamId, request.params.fine_tuning_job_id)),
  );

  app.post(
    '/fine_tuning/jobs/:fine_tuning_job_id',
    operation(
      { access: { scope: 'jobs:write', models: 'job', answer: 'jobs:read' } },
      'Change the priority of a job',
      ref(JobSchema),
      { description: 'Any that is not over.', params: JobParams, body: ref(UpdateJobSchema) },
    ),
    async ({ caller, params: { fine_tuning_job_id: id }, body: { priority } }) => {
      const job = await setJobPriority(services, caller.teamId, id, priority, caller);
      if (!job) throw jobNotFound(id);
      return await wire(job);
    },
  );

  app.delete(
    '/fine_tuning/jobs/:fine_tuning_job_id',
    operation(
      { access: { scope: 'jobs:write', models: 'job', answer: 'own' } },
      'Delete a job',
      ref(DeletedJobSchema),
      {
        description:
          'One that is over, with its events, metrics, attempts and checkpoints. What it used stays in the usage of the team, and who did what in its audit log.',
        params: JobParams,
        querystring: DeleteJobQuery,
      },
    ),
    async ({ caller, params: { fine_tuning_job_id: id }, query }) => {
      const adapter = query.adapters === 'delete';
      if (adapter) checkScope(caller, 'adapters:write');
      if (!(await deleteJob(services, caller.teamId, id, { adapter }, caller))) throw jobNotFound(id);
      return { id, object: 'fine_tuning.job' as const, deleted: true };
    },
  );

  const transitions = {
    cancel: {
      change: cancelJob,
      summary: 'Cancel a job',
      description: 'A running one stops within two seconds.',
    },
    pause: {
      change: pauseJob,
      summary: 'Pause a job',
      description: 'A running one writes a checkpoint first.',
    },
    resume: {
      change: resumeJob,
      summary: 'Resume a job',
      description: 'It continues from its last checkpoint.',
    },
  };
  for (const [verb, { change, summary, description }] of Object.entries(transitions)) {
    app.post(
      `/fine_tuning/jobs/:fine_tuning_job_id/${verb}`,
      operation(
        { access: { scope: 'jobs:write', models: 'job', answer: 'jobs:read' } },
        summary,
        ref(JobSchema),
        { description, params: JobParams },
      ),
      async (request) => {
        const { caller } = request;
        const id = (request.params as Static<typeof JobParams>).fine_tuning_job_id;
        if (verb === 'resume') await app.checkBudget(caller.teamId);
        const job = await change(services, caller.teamId, id, caller);
        if (!job) throw jobNotFound(id);
        return await wire(job);
      },
    );
  }
};

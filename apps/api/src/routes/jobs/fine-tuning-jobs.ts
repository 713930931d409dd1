import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  cancelJob,
  createJob,
  deleteJob,
  fineTunedModelName,
  getJob,
  type Identity,
  type Job,
  listJobCheckpoints,
  listJobs,
  pauseJob,
  readMetricStretches,
  readMetrics,
  resumeJob,
  setJobPriority,
} from '@graft/service';
import type { Static } from 'typebox';
import { ApiError } from '../../api-error.ts';
import { type CreateJobBody, checkNewJob } from '../../jobs/check-new-job.ts';
import type { Waiting } from '../../jobs/check-training.ts';
import { cloneRequest } from '../../jobs/clone-job.ts';
import type { JobValidator } from '../../jobs/job-validator.ts';
import type { JobWriter, WireJob } from '../../jobs/job-writer.ts';
import type { OptionChecker } from '../../jobs/option-checker.ts';
import { checkScope } from '../../plugins/auth.ts';
import { errorResponses } from '../../schemas/error.ts';
import { CloneJobSchema } from '../../schemas/jobs/clone-job.ts';
import { DeletedJobSchema, DeleteJobQuery } from '../../schemas/jobs/delete-job.ts';
import {
  CreateJobHeaders,
  CreateJobSchema,
  JobParams,
  JobSchema,
  ListJobsQuery,
  UpdateJobSchema,
} from '../../schemas/jobs/fine-tuning-job.ts';
import {
  CheckpointSchema,
  ListCheckpointsQuery,
  ListMetricsQuery,
  MetricListSchema,
  toWireCheckpoint,
  toWireMetric,
} from '../../schemas/jobs/job-records.ts';
import { hyperparametersOf } from '../../schemas/jobs/method.ts';
import { createdSpan, listOf, toWireList } from '../../schemas/list.ts';
import { ref } from '../../schemas/schema.ts';

const tags = ['Fine-tuning'];

/** /fine_tuning/jobs: from request to adapter. */
export const fineTuningJobRoutes: FastifyPluginAsyncTypebox<{
  validator: JobValidator;
  checker: OptionChecker;
  writer: JobWriter;
}> = async (app, { validator, checker, writer: { wire, wireAll } }) => {
  const { services } = app;

  app.post(
    '/fine_tuning/jobs',
    {
      config: { access: { scope: 'jobs:write', models: 'start', answer: 'own' } },
      schema: {
        tags,
        summary: 'Create a fine-tuning job',
        description:
          'Checks everything but the lengths of the examples before the job exists; those are checked while its status is `validating_files`.',
        headers: CreateJobHeaders,
        body: ref(CreateJobSchema),
        response: { 200: ref(JobSchema), ...errorResponses(400, 401, 403, 422, 429) },
      },
    },
    async (request, reply) => {
      return await create(request, reply, request.body);
    },
  );

  async function create(
    { caller, headers }: { caller: Identity; headers: Record<string, unknown> },
    reply: Waiting & { header(name: string, value: string): unknown },
    body: CreateJobBody,
  ): Promise<WireJob> {
    const idempotency = {
      idempotencyKey: (headers['idempotency-key'] as string | undefined) ?? null,
      // OpenAI's clients say so; they send no idempotency key.
      isRetry: Number(headers['x-stainless-retry-count'] ?? 0) > 0,
    };
    const input = await checkNewJob(services, checker, caller, body, idempotency, reply);
    await app.checkBudget(caller.teamId);
    const { job, created } = await createJob(services, caller.teamId, input);
    if (created) validator.wake();
    else reply.header('idempotent-replayed', 'true');
    return await wire(job);
  }

  app.post(
    '/fine_tuning/jobs/:fine_tuning_job_id/clone',
    {
      config: { access: { scope: 'jobs:write', models: 'clone', answer: 'own' } },
      schema: {
        tags,
        summary: 'Create a job like another one',
        description:
          'The body says what is other; all else, the seed too, is as that job was asked for. It needs the scope jobs:read, too.',
        params: JobParams,
        headers: CreateJobHeaders,
        body: ref(CloneJobSchema),
        response: { 200: ref(JobSchema), ...errorResponses(400, 401, 403, 404, 422, 429) },
      },
    },
    async (request, reply) => {
      const { caller, params, body } = request;
      // The answer shows what the other job was asked for, and writing does not include reading.
      checkScope(caller, 'jobs:read');
      const job = await find(caller, params.fine_tuning_job_id);
      return await create(request, reply, cloneRequest(job, body));
    },
  );

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/request',
    {
      config: { access: { scope: 'jobs:read', models: 'job' } },
      schema: {
        tags,
        summary: 'Get the request that would make a job again',
        description:
          'With its seed, and with the values that were left to Graft left out: what POST /v1/fine_tuning/jobs takes.',
        params: JobParams,
        response: { 200: ref(CreateJobSchema), ...errorResponses(401, 404) },
      },
    },
    async ({ caller, params }) =>
      withoutDefaults(cloneRequest(await find(caller, params.fine_tuning_job_id), {})),
  );

  app.get(
    '/fine_tuning/jobs',
    {
      config: { access: { scope: 'jobs:read', models: 'filtered' } },
      schema: {
        tags,
        summary: 'List fine-tuning jobs',
        description: 'Newest first. Filters together keep what all of them do.',
        querystring: ListJobsQuery,
        response: { 200: listOf(JobSchema), ...errorResponses(400, 401) },
      },
    },
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

  async function find(caller: Identity, id: string): Promise<Job> {
    const job = await getJob(services, caller.teamId, id);
    if (!job) throw jobNotFound(id);
    return job;
  }

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id',
    {
      config: { access: { scope: 'jobs:read', models: 'job' } },
      schema: {
        tags,
        summary: 'Get a fine-tuning job',
        params: JobParams,
        response: { 200: ref(JobSchema), ...errorResponses(401, 404) },
      },
    },
    async (request) => await wire(await find(request.caller, request.params.fine_tuning_job_id)),
  );

  app.post(
    '/fine_tuning/jobs/:fine_tuning_job_id',
    {
      config: { access: { scope: 'jobs:write', models: 'job', answer: 'jobs:read' } },
      schema: {
        tags,
        summary: 'Change the priority of a job',
        description: 'Any that is not over.',
        params: JobParams,
        body: ref(UpdateJobSchema),
        response: { 200: ref(JobSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async ({ caller, params: { fine_tuning_job_id: id }, body: { priority } }) => {
      const job = await setJobPriority(services, caller.teamId, id, priority, caller);
      if (!job) throw jobNotFound(id);
      return await wire(job);
    },
  );

  app.delete(
    '/fine_tuning/jobs/:fine_tuning_job_id',
    {
      config: { access: { scope: 'jobs:write', models: 'job', answer: 'own' } },
      schema: {
        tags,
        summary: 'Delete a job',
        description:
          'One that is over, with its events, metrics, attempts and checkpoints. What it used stays in the usage of the team, and who did what in its audit log.',
        params: JobParams,
        querystring: DeleteJobQuery,
        response: { 200: ref(DeletedJobSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
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
      description: 'It goes on from its last checkpoint.',
    },
  };
  for (const [verb, { change, summary, description }] of Object.entries(transitions)) {
    const refusals = verb === 'resume' ? [429] : [];
    app.post(
      `/fine_tuning/jobs/:fine_tuning_job_id/${verb}`,
      {
        config: { access: { scope: 'jobs:write', models: 'job', answer: 'jobs:read' } },
        schema: {
          tags,
          summary,
          description,
          params: JobParams,
          response: { 200: ref(JobSchema), ...errorResponses(400, 401, 403, 404, ...refusals) },
        },
      },
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
      const job = await find(request.caller, request.params.fine_tuning_job_id);
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
      const job = await find(request.caller, request.params.fine_tuning_job_id);
      const { after_step: afterStep, until_step: untilStep, limit, resolution } = request.query;
      const { data, hasMore } = resolution
        ? {
            data: await readMetricStretches(services, job.teamId, job.id, {
              ...{ afterStep, untilStep, resolution },
            }),
            hasMore: false,
          }
        : await readMetrics(services, job.teamId, job.id, { afterStep, limit });
      return { object: 'list' as const, data: data.map(toWireMetric), has_more: hasMore };
    },
  );
};

export function jobNotFound(id: string, param = 'fine_tuning_job_id'): ApiError {
  return new ApiError('job_not_found', `No such fine-tuning job: ${id}`, { param });
}

/** Null means as much as nothing in a request, and a hyperparameter that is "auto" as much as one that is left out. */
function withoutDefaults(request: CreateJobBody): CreateJobBody {
  const given = Object.entries(request).filter(([, value]) => value !== null);
  // `cloneRequest` names the method.
  const method = request.method!;
  const chosen = Object.entries(hyperparametersOf(method) ?? {}).filter(([, value]) => value !== 'auto');
  return {
    ...(Object.fromEntries(given) as CreateJobBody),
    method: { type: method.type, [method.type]: { hyperparameters: Object.fromEntries(chosen) } },
  };
}

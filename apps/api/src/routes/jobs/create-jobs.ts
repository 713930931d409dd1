import { createHash } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { requesterOf } from '@graft/service/audit';
import { createJob } from '@graft/service/jobs';
import type { Identity } from '@graft/service/keys';
import type { Claiming } from '@graft/service/repeat';
import { CloneJobSchema } from '@graft/wire/jobs/clone-job';
import { CreateJobHeaders, CreateJobSchema, JobParams, JobSchema } from '@graft/wire/jobs/fine-tuning-job';
import { hyperparametersOf } from '@graft/wire/jobs/method';
import { ref } from '@graft/wire/schema';
import { canonicalJson } from '../../jobs/canonical-json.ts';
import { checkIntegrations } from '../../jobs/check-integrations.ts';
import { type CreateJobBody, checkTraining, type Waiting } from '../../jobs/check-training.ts';
import { cloneRequest } from '../../jobs/clone-job.ts';
import type { JobWriter, WireJob } from '../../jobs/job-writer.ts';
import type { OptionChecker } from '../../jobs/option-checker.ts';
import { checkScope } from '../../plugins/auth.ts';
import { findJob } from './find-job.ts';
import { operation, readingJob } from './operation.ts';

/** POST /fine_tuning/jobs and …/{id}/clone, and the request that would create an existing job again. */
export const createJobRoutes: FastifyPluginAsyncTypebox<{
  validator: Pick<Claiming, 'wake'>;
  checker: OptionChecker;
  writer: JobWriter;
}> = async (app, { validator, checker, writer }) => {
  const { services } = app;

  async function create(
    { caller, headers }: { caller: Identity; headers: Record<string, unknown> },
    reply: Waiting & { header(name: string, value: string): unknown },
    body: CreateJobBody,
  ): Promise<WireJob> {
    const integrations = await checkIntegrations(services, caller, body.integrations ?? []);
    const checked = await checkTraining(services, checker, caller, body, reply);
    await app.checkBudget(caller.teamId);
    const { files, sweep, trials } = checked;
    const { job, created } = await createJob(services, caller.teamId, {
      ...requesterOf(caller),
      ...checked,
      model: checked.baseModel,
      suffix: body.suffix ?? null,
      trainingFileId: files.training[0]!.file.id,
      validationFileId: files.validation[0]?.file.id ?? null,
      sweep: sweep && { grid: sweep, peft: body.peft ?? null, trials },
      metadata: body.metadata ?? null,
      priority: body.priority ?? undefined,
      integrations,
      warnings: checked.warnings.map(({ message }) => message),
      requestHash: createHash('sha256').update(canonicalJson(body)).digest('hex'),
      idempotencyKey: (headers['idempotency-key'] as string | undefined) ?? null,
      // OpenAI's clients mark retries this way and send no idempotency key.
      isRetry: Number(headers['x-stainless-retry-count'] ?? 0) > 0,
    });
    if (created) validator.wake();
    else reply.header('idempotent-replayed', 'true');
    return await writer.wire(job);
  }

  app.post(
    '/fine_tuning/jobs',
    operation(
      { access: { scope: 'jobs:write', models: 'start', answer: 'own' } },
      'Create a fine-tuning job',
      ref(JobSchema),
      {
        errors: [422],
        description:
          'Everything except the lengths of the examples is checked before the job is created; the lengths are checked while its status is `validating_files`.',
        headers: CreateJobHeaders,
        body: ref(CreateJobSchema),
      },
    ),
    async (request, reply) => await create(request, reply, request.body),
  );

  app.post(
    '/fine_tuning/jobs/:fine_tuning_job_id/clone',
    operation(
      { access: { scope: 'jobs:write', models: 'clone', answer: 'own' } },
      'Clone a fine-tuning job',
      ref(JobSchema),
      {
        errors: [422],
        description:
          'Creates a job like an existing one. The body contains overrides; everything else, including the seed, is as requested for the existing job. Also requires the scope jobs:read.',
        params: JobParams,
        headers: CreateJobHeaders,
        body: ref(CloneJobSchema),
      },
    ),
    async (request, reply) => {
      const { caller, params, body } = request;
      // The response shows the options of the other job, and a write scope does not include reading.
      checkScope(caller, 'jobs:read');
      const job = await findJob(services, caller.teamId, params.fine_tuning_job_id);
      return await create(request, reply, cloneRequest(job, body));
    },
  );

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/request',
    operation(readingJob, 'Get the request that recreates a job', ref(CreateJobSchema), {
      description:
        'Returns a body for POST /v1/fine_tuning/jobs, with the seed of the job and without the values that Graft chose.',
      params: JobParams,
    }),
    async ({ caller, params }) =>
      withoutDefaults(cloneRequest(await findJob(services, caller.teamId, params.fine_tuning_job_id), {})),
  );
};

/** Removes what only repeats defaults: null, and hyperparameters that are "auto". */
function withoutDefaults(request: CreateJobBody): CreateJobBody {
  const given = Object.entries(request).filter(([, value]) => value !== null);
  // `cloneRequest` always sets the method.
  const method = request.method!;
  const chosen = Object.entries(hyperparametersOf(method) ?? {}).filter(([, value]) => value !== 'auto');
  return {
    ...(Object.fromEntries(given) as CreateJobBody),
    method: { type: method.type, [method.type]: { hyperparameters: Object.fromEntries(chosen) } },
  };
}

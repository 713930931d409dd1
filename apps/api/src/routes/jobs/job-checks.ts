import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { trainingReasons } from '@graft/peft-core/config';
import { JobCheckSchema, type JobPlanSchema } from '@graft/wire/jobs/estimate';
import { CreateJobSchema } from '@graft/wire/jobs/fine-tuning-job';
import { ref } from '@graft/wire/schema';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { touchedByStart } from '../../access/model-uses.ts';
import { toWireEstimate } from '../../answers/job.ts';
import type { ApiError } from '../../api-error.ts';
import type { Estimator } from '../../estimates/estimator.ts';
import { checkIntegrations } from '../../jobs/check-integrations.ts';
import { type CreateJobBody, checkTraining } from '../../jobs/check-training.ts';
import { findStart } from '../../jobs/find-start.ts';
import type { OptionChecker } from '../../jobs/option-checker.ts';
import { planJob } from '../../jobs/plan-job.ts';
import { hangUp } from '../../serving/answer.ts';
import { toApiError } from '../../to-api-error.ts';
import { operation } from './operation.ts';

/** Statuses of invalid requests. */
const refusals = [400, 403, 422];
const modelFields = ['model', 'start_from'];
const body = ref(CreateJobSchema);

/** /fine_tuning/checks: reports the errors of a job request that a user is still writing. */
export const jobCheckRoutes: FastifyPluginAsyncTypebox<{
  estimator: Estimator;
  checker: OptionChecker;
}> = async (app, { estimator, checker }) => {
  const { services } = app;

  app.post(
    '/fine_tuning/checks',
    operation(
      { access: { scope: 'jobs:read', role: 'viewer', models: 'body' }, documentedBody: body },
      'Check a fine-tuning job',
      ref(JobCheckSchema),
      {
        description:
          'Returns every error for which a new job would be refused, by field, as a successful response; otherwise its estimate, and the values chosen for omitted options. Creates nothing.',
        body: Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }),
      },
    ),
    async (request, reply) => {
      const object = 'fine_tuning.check' as const;
      let options_accepted = false;
      try {
        const checked = await checkOptions(request, reply);
        options_accepted = true;
        return { object, faults: [], options_accepted, plan: await plan(checked, request, reply) };
      } catch (error) {
        const { status, code, message, param, details } = toApiError(error as Error);
        if (!refusals.includes(status)) throw error;
        const found = details.length > 0 ? details : [{ message, ...(param !== null && { param }) }];
        const faults = found.map(({ param = null, message }) => ({ code, message, param }));
        const hasModel = faults.some(({ param }) => param !== null && modelFields.includes(param));
        const all = hasModel ? faults : [...(await modelFaults(request)), ...faults];
        return { object, faults: [...all, ...missingFile(request.body, all)], options_accepted, plan: null };
      }
    },
  );

  /** Checks only the model if the request is incomplete, so that a wrong model is reported before a file is chosen or uploaded. */
  async function modelFaults({
    caller,
    body,
  }: FastifyRequest): Promise<Static<typeof JobCheckSchema>['faults']> {
    const { model, start_from } = (body ?? {}) as Record<string, unknown>;
    if (typeof model !== 'string') return [];
    try {
      await findStart(services, caller, {
        model,
        start_from: typeof start_from === 'string' ? start_from : null,
      });
      return [];
    } catch (error) {
      const { status, code, message, param } = toApiError(error as Error);
      if (!refusals.includes(status)) throw error;
      return [{ code, message, param }];
    }
  }

  async function checkOptions(request: FastifyRequest, reply: FastifyReply) {
    const { caller } = request;
    request.checkModels(await touchedByStart(services, caller, request.body as object));
    const job = parse(request);
    await checkIntegrations(services, caller, job.integrations ?? []);
    const checked = await checkTraining(services, checker, caller, job, reply);
    return { job, checked, planned: planJob(checked) };
  }

  async function plan(
    { job, checked, planned }: Awaited<ReturnType<typeof checkOptions>>,
    { caller }: FastifyRequest,
    reply: FastifyReply,
  ): Promise<Static<typeof JobPlanSchema>> {
    reply.endTurn();
    const { estimate, training } = await estimator.estimate(caller.teamId, planned, hangUp(reply));
    const { peft } = checked;
    return {
      ...toWireEstimate(estimate, checked.warnings),
      peft,
      training,
      trials: checked.trials.length,
      training_reasons: trainingReasons(
        { ...checked, continues: checked.startFrom !== null, peftGiven: job.peft },
        training,
      ),
    };
  }
};

/** Parses the body as for a new job, and throws the same errors. */
function parse(request: FastifyRequest): CreateJobBody {
  const validate = request.compileValidationSchema(body, 'body') as unknown as (
    data: unknown,
  ) => { value: CreateJobBody } | { error: ApiError };
  const result = validate(request.body);
  if ('error' in result) throw result.error;
  return result.value;
}

/** The fault of a request without training files, unless it is listed: the check of the model or of another field may come first. */
function missingFile(
  body: unknown,
  faults: Static<typeof JobCheckSchema>['faults'],
): Static<typeof JobCheckSchema>['faults'] {
  const { training_file: file, training_files: files } = (body ?? {}) as Record<string, unknown>;
  const isListed = faults.some(({ param }) => param?.startsWith('training_file'));
  if ((file ?? null) !== null || (files ?? null) !== null || isListed) return [];
  const param = 'training_file';
  return [{ code: 'missing_required_parameter', message: `Missing required parameter: '${param}'.`, param }];
}

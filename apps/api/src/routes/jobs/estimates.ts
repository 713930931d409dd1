import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { EstimateSchema } from '@graft/wire/jobs/estimate';
import { EstimateJobSchema } from '@graft/wire/jobs/fine-tuning-job';
import { ref } from '@graft/wire/schema';
import { toWireEstimate } from '../../answers/job.ts';
import type { Estimator } from '../../estimates/estimator.ts';
import { checkTraining } from '../../jobs/check-training.ts';
import type { OptionChecker } from '../../jobs/option-checker.ts';
import { planJob } from '../../jobs/plan-job.ts';
import { hangUp } from '../../serving/answer.ts';
import { operation } from './operation.ts';

/** /fine_tuning/estimates: estimates a job without creating it. */
export const estimateRoutes: FastifyPluginAsyncTypebox<{
  estimator: Estimator;
  checker: OptionChecker;
}> = async (app, { estimator, checker }) => {
  const { services } = app;

  app.post(
    '/fine_tuning/estimates',
    operation(
      { access: { scope: 'jobs:read', role: 'viewer', models: 'start' } },
      'Estimate a fine-tuning job',
      ref(EstimateSchema),
      {
        description:
          'Estimates parameters, memory, tokens, steps and time of a job, and whether a worker has enough memory for it. Accepts and rejects the same bodies as creating a job. Reads only a part of large files, so invalid lines may be missed.',
        body: ref(EstimateJobSchema),
      },
    ),
    async (request, reply) => {
      const { caller, body } = request;
      const checked = await checkTraining(services, checker, caller, body, reply);
      const planned = planJob(checked);
      reply.endTurn();
      const { estimate } = await estimator.estimate(caller.teamId, planned, hangUp(reply));
      return toWireEstimate(estimate, checked.warnings);
    },
  );
};

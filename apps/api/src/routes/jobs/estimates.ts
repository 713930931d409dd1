import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ApiError } from '../../api-error.ts';
import { leavesCheckpointing } from '../../estimates/estimate-job.ts';
import type { Estimator } from '../../estimates/estimator.ts';
import { checkTraining } from '../../jobs/check-training.ts';
import { longestLead } from '../../jobs/check-trials.ts';
import type { OptionChecker } from '../../jobs/option-checker.ts';
import { errorResponses } from '../../schemas/error.ts';
import { EstimateSchema, toWireEstimate } from '../../schemas/jobs/estimate.ts';
import { EstimateJobSchema } from '../../schemas/jobs/fine-tuning-job.ts';
import { ref } from '../../schemas/schema.ts';
import { hangUp } from '../../serving/answer.ts';

/** /fine_tuning/estimates: what a job would come to. */
export const estimateRoutes: FastifyPluginAsyncTypebox<{
  estimator: Estimator;
  checker: OptionChecker;
}> = async (app, { estimator, checker }) => {
  const { services } = app;

  app.post(
    '/fine_tuning/estimates',
    {
      // It creates nothing, and says no more of files than a job that failed.
      config: { access: { scope: 'jobs:read', role: 'viewer' } },
      schema: {
        tags: ['Fine-tuning'],
        summary: 'Estimate a fine-tuning job',
        description:
          'What such a job would come to: parameters, memory, tokens, steps and time, and whether a worker has room for it. Takes what a new job takes, and refuses the same. Of large files a part is read, so bad lines may be missed.',
        body: ref(EstimateJobSchema),
        response: { 200: ref(EstimateSchema), ...errorResponses(400, 401, 403, 429) },
      },
    },
    async (request, reply) => {
      const { caller, body } = request;
      const checked = await checkTraining(services, checker, caller, body);
      const { model, trainingFile, validationFile, seed, resolved } = checked;
      if (!model) {
        throw new ApiError('service_unavailable', `The base model ${checked.baseModel} is being fetched.`, {
          headers: { 'retry-after': '10' },
        });
      }
      const all = resolved.map((training, i) => ({
        peft: checked.trials[i]!.peft,
        training: { ...training, seed: seed ?? training.seed },
      }));
      reply.endTurn();
      const planned = {
        ...{ model, trainingFile, validationFile },
        ...{ peft: longestLead(all), training: all[0]!.training, trials: checked.sweep ? all : [] },
        leavesCheckpointing: leavesCheckpointing(checked.training),
      };
      return toWireEstimate(await estimator.estimate(caller.teamId, planned, hangUp(reply)));
    },
  );
};

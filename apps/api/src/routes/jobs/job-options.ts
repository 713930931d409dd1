import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { readQuota } from '@graft/service';
import { ApiError } from '../../api-error.ts';
import { findStart } from '../../jobs/find-start.ts';
import { openBaseModel } from '../../jobs/open-base-model.ts';
import {
  JobOptionsQuery,
  JobOptionsSchema,
  toWireOptions,
  toWireTrainable,
} from '../../schemas/jobs/job-options.ts';
import { ref } from '../../schemas/schema.ts';
import { operation } from './operation.ts';

/** Milliseconds to open a base model, which may have to be downloaded first. */
const openModelPatience = 10_000;

/** /fine_tuning/options: everything that a form for a new job needs. */
export const jobOptionRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/fine_tuning/options',
    operation(
      { access: { scope: 'jobs:read', models: 'start' } },
      'Get the options of fine-tuning jobs',
      ref(JobOptionsSchema),
      {
        description:
          'Returns the methods, when to choose them and the schemas of their options, the formats of training data, and for a base model the modules that options can name. Clients can build a form for jobs from it.',
        querystring: JobOptionsQuery,
      },
    ),
    async ({ caller, query: { model, start_from } }) => {
      const quota = await readQuota(services, caller.teamId);
      const permitted = { methods: quota?.methods ?? null, maxRank: quota?.maxRank ?? null };
      if (model === undefined) {
        if (start_from === undefined) return toWireOptions(permitted, null);
        throw new ApiError(
          'missing_required_parameter',
          "'start_from' requires 'model', the base model of the adapter.",
          { param: 'model' },
        );
      }
      const { baseModel, startFrom } = await findStart(services, caller, {
        model,
        ...(start_from !== undefined && { start_from }),
      });
      const local = await openBaseModel(services, baseModel, AbortSignal.timeout(openModelPatience));
      const start = startFrom && { name: startFrom.modelName, peft: startFrom.peft };
      return toWireOptions(permitted, local && toWireTrainable(baseModel, local.config, start));
    },
  );
};

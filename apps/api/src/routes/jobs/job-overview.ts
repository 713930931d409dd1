import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { sampleLosses } from '@graft/service/jobs';
import { allowsJob, type ModelLimit } from '@graft/service/keys';
import { errorResponses } from '@graft/wire/error';
import { JobSchema } from '@graft/wire/jobs/fine-tuning-job';
import { LossCurveListSchema, LossCurvesQuery } from '@graft/wire/jobs/job-records';
import { ref } from '@graft/wire/schema';
import { createJobChanges } from '../../jobs/job-changes.ts';
import type { JobWriter, WireJob } from '../../jobs/job-writer.ts';
import { notFound } from '../../not-found.ts';
import type { ApiSettings } from '../../settings.ts';
import { operation } from './operation.ts';

/** Data for pages with many jobs: all loss curves in one response, and all changes in one stream. */
export const jobOverviewRoutes: FastifyPluginAsyncTypebox<{
  settings: ApiSettings;
  writer: JobWriter;
}> = async (app, { settings, writer }) => {
  const { services } = app;
  const changes = createJobChanges(services, writer, settings.eventPollMs);
  app.addHook('preClose', async () => changes.close());

  app.get(
    '/fine_tuning/jobs/losses',
    operation(
      { access: { scope: 'jobs:read', models: 'jobs' } },
      'Get the loss curves of several jobs',
      LossCurveListSchema,
      {
        errors: [404],
        description:
          'Returns a few points per curve, spread evenly over the steps. Jobs that have not trained a step are omitted.',
        querystring: LossCurvesQuery,
      },
    ),
    async ({ caller, query }) => {
      const ids = [...new Set(query.ids.split(','))];
      const own = await services.db.job.findMany({
        where: { teamId: caller.teamId, id: { in: ids } },
        select: { id: true },
      });
      const unknown = ids.find((id) => !own.some((job) => job.id === id));
      if (unknown !== undefined) throw notFound('job', unknown, 'ids');
      const curves = await sampleLosses(services, caller.teamId, ids, query.points);
      const data = [...curves].map(([fine_tuning_job_id, points]) => ({
        object: 'fine_tuning.job.losses' as const,
        fine_tuning_job_id,
        steps: points.map(({ step }) => step),
        losses: points.map(({ loss }) => loss),
      }));
      return { object: 'list' as const, data, has_more: false };
    },
  );

  app.get(
    '/fine_tuning/jobs/changes',
    {
      config: { access: { scope: 'jobs:read', models: 'filtered' }, streams: ref(JobSchema) },
      schema: {
        tags: ['Fine-tuning'],
        summary: "Stream changes of the team's jobs",
        description:
          'Server-sent events: first every job that has not ended, then each job that is created or changed, as in `GET /v1/fine_tuning/jobs/{id}`. Changes in quick succession are combined. The stream does not end by itself.',
        response: errorResponses(401),
      },
    },
    async (request, reply) => {
      const limit = request.modelLimit();
      return reply.stream('text/event-stream', (signal) => follow(request.caller.teamId, limit, signal));
    },
  );

  async function* follow(teamId: string, limit: ModelLimit, signal: AbortSignal): AsyncGenerator<string> {
    yield ': stream of jobs\n\n';
    for await (const jobs of changes.follow(teamId, settings.streamHeartbeatMs, signal)) {
      if (!jobs) yield ': heartbeat\n\n';
      for (const job of jobs ?? [])
        if (allowsJob(limit, modelsOfWireJob(job)))
          yield `event: ${job.object}\ndata: ${JSON.stringify(job)}\n\n`;
    }
  }
};

const modelsOfWireJob = ({ model, start_from, fine_tuned_model }: WireJob) => ({
  model,
  startFromModel: start_from,
  fineTunedModel: fine_tuned_model,
});

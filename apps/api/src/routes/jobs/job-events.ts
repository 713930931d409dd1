import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Job, listEvents } from '@graft/service/jobs';
import { JobParams } from '@graft/wire/jobs/fine-tuning-job';
import { EventSchema, ListEventsQuery } from '@graft/wire/jobs/job-records';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import { toWireEvent } from '../../answers/job-records.ts';
import { toWireList } from '../../answers/list.ts';
import { createEventFeed } from '../../jobs/event-feed.ts';
import type { ApiSettings } from '../../settings.ts';
import { findJob } from './find-job.ts';
import { operation } from './operation.ts';

/** /fine_tuning/jobs/{id}/events: the events of a job, as pages or as a stream. */
export const jobEventRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings }> = async (
  app,
  { settings },
) => {
  const { services } = app;
  const feed = createEventFeed(services, settings.eventPollMs);
  app.addHook('preClose', async () => feed.close());

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/events',
    operation(
      { access: { scope: 'jobs:read', models: 'job' }, streams: ref(EventSchema) },
      'List or stream the events of a job',
      listOf(EventSchema),
      {
        description: 'Newest first. With `stream=true`, server-sent events, oldest first.',
        params: JobParams,
        querystring: ListEventsQuery,
      },
    ),
    async (request, reply) => {
      const { teamId } = request.caller;
      const job = await findJob(services, teamId, request.params.fine_tuning_job_id);
      if (!request.query.stream) {
        return toWireList(await listEvents(services, teamId, job.id, request.query), toWireEvent);
      }
      const seq = await positionOf(job, request.headers['last-event-id']);
      return reply.stream('text/event-stream', (signal) => follow(job, seq, signal));
    },
  );

  /** `seq` of the last event that the client saw; 0 for none, or if the job has no such event. */
  async function positionOf(job: Job, lastEventId: string | string[] | undefined): Promise<number> {
    if (typeof lastEventId !== 'string') return 0;
    const event = await services.db.jobEvent.findFirst({
      where: { teamId: job.teamId, jobId: job.id, id: lastEventId },
      select: { seq: true },
    });
    return Number(event?.seq ?? 0);
  }

  async function* follow({ teamId, id }: Job, from: number, signal: AbortSignal): AsyncGenerator<string> {
    const job = { teamId, jobId: id, seq: from };
    let behind = true;
    // Sent immediately, so that the client gets the headers before the first event.
    yield ': stream of events\n\n';
    while (!signal.aborted) {
      const news = await feed.next(job, { behind, ms: settings.streamHeartbeatMs, signal });
      behind = news?.more ?? false;
      if (signal.aborted) return;
      if (!news) yield ': heartbeat\n\n';
      for (const event of news?.events ?? []) {
        yield `id: ${event.id}\nevent: ${toWireEvent(event).object}\ndata: ${JSON.stringify(toWireEvent(event))}\n\n`;
        job.seq = event.seq;
      }
      if (news?.finished) {
        yield 'data: [DONE]\n\n';
        return;
      }
    }
  }
};

import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { eventsAfter, getJob, isDatabaseAway, isTerminal, type Job, listEvents } from '@graft/service';
import { errorResponses } from '../schemas/error.ts';
import { JobParams } from '../schemas/fine-tuning-job.ts';
import { EventSchema, ListEventsQuery, toWireEvent } from '../schemas/job-records.ts';
import { listOf, toWireList } from '../schemas/list.ts';
import type { ApiSettings } from '../settings.ts';
import { jobNotFound } from './fine-tuning-jobs.ts';

/** /fine_tuning/jobs/{id}/events: what happened to a job, by the page or as it happens. */
export const jobEventRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings }> = async (
  app,
  { settings },
) => {
  const { services } = app;

  app.get(
    '/fine_tuning/jobs/:fine_tuning_job_id/events',
    {
      schema: {
        tags: ['Fine-tuning'],
        summary: 'List or stream the events of a job',
        description: 'Newest first; with `stream=true` server-sent events, oldest first.',
        params: JobParams,
        querystring: ListEventsQuery,
        response: { 200: listOf(EventSchema), ...errorResponses(400, 401, 404) },
      },
    },
    async (request, reply) => {
      const { teamId } = request.caller;
      const job = await getJob(services, teamId, request.params.fine_tuning_job_id);
      if (!job) throw jobNotFound(request.params.fine_tuning_job_id);
      if (!request.query.stream) {
        return toWireList(await listEvents(services, teamId, job.id, request.query), toWireEvent);
      }
      const seq = await positionOf(job, request.headers['last-event-id']);
      return reply.stream('text/event-stream', (signal) => follow(job, seq, signal));
    },
  );

  /** `seq` of the event that the client saw last; 0 for no event, or none of this job. */
  async function positionOf(job: Job, lastEventId: string | string[] | undefined): Promise<number> {
    if (typeof lastEventId !== 'string') return 0;
    const event = await services.db.jobEvent.findFirst({
      where: { teamId: job.teamId, jobId: job.id, id: lastEventId },
      select: { seq: true },
    });
    return Number(event?.seq ?? 0);
  }

  async function* follow(job: Job, from: number, signal: AbortSignal): AsyncGenerator<string> {
    let seq = from;
    let quietMs = 0;
    // At once, so that the client has its headers before the first event.
    yield ': stream of events\n\n';
    while (!signal.aborted) {
      const { finished, events } = await look(job, seq);
      for (const event of events) {
        yield `id: ${event.id}\nevent: ${toWireEvent(event).object}\ndata: ${JSON.stringify(toWireEvent(event))}\n\n`;
        seq = event.seq;
      }
      if (events.length > 0) quietMs = 0;
      else if (finished) {
        yield 'data: [DONE]\n\n';
        return;
      } else {
        await sleep(settings.eventPollMs, undefined, { signal }).catch(() => {});
        quietMs += settings.eventPollMs;
      }
      if (quietMs >= settings.streamHeartbeatMs) {
        yield ': heartbeat\n\n';
        quietMs = 0;
      }
    }
  }

  /** Reads the state before the events, so that a finished job's last events are among them. */
  async function look(job: Job, seq: number) {
    try {
      const now = await getJob(services, job.teamId, job.id);
      const events = await eventsAfter(services, job.teamId, job.id, seq);
      return { finished: now === null || isTerminal(now.state), events };
    } catch (error) {
      // While Postgres is away the stream stays open and silent.
      if (!isDatabaseAway(error)) throw error;
      return { finished: false, events: [] };
    }
  }
};

import { GraftApiError, GraftConnectionError, isTransient } from '../errors.ts';
import { request } from '../operations.ts';
import { pause, retryDelay } from '../retry.ts';
import { serverSentEvents } from '../server-sent-events.ts';
import type { RequestSpec, Transport } from '../transport.ts';
import type { FineTuningJob, JobEvent } from '../types.ts';

export interface EventStreamOptions {
  /** Start after this event instead of at the first. */
  lastEventId?: string;
  signal?: AbortSignal;
}

export interface ChangeStreamOptions {
  /** Maximum number of consecutive connections that break without a new event; default 10. A page that can poll uses 0. */
  reconnects?: number;
  signal?: AbortSignal;
}

const RECONNECTS = 10;

/** Streams events of a job by server-sent events, reconnecting as needed; ends at the server's `[DONE]`. */
export const streamJobEvents = (transport: Transport, id: string, options: EventStreamOptions) =>
  streamObjects<JobEvent>(
    transport,
    { ...request('GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events', id), query: { stream: true } },
    options,
  );

/** Streams jobs of the team as they change, reconnecting as needed. */
export const streamJobChanges = (transport: Transport, options: ChangeStreamOptions) =>
  streamObjects<FineTuningJob>(transport, request('GET /v1/fine_tuning/jobs/changes'), options);

async function* streamObjects<T extends { id: string }>(
  transport: Transport,
  spec: RequestSpec,
  options: EventStreamOptions & ChangeStreamOptions,
): AsyncGenerator<T, void, void> {
  const { reconnects = RECONNECTS } = options;
  let lastEventId = options.lastEventId ?? '';
  let attemptsWithoutEvent = 0;
  for (;;) {
    try {
      const response = await transport.open({
        ...spec,
        headers: {
          accept: 'text/event-stream',
          ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }),
        },
        signal: options.signal,
      });
      for await (const message of serverSentEvents(response.bytes())) {
        if (message.data === '[DONE]') return;
        const object = JSON.parse(message.data) as T;
        // An error that ends the stream has no id; a failed job has an id and an error.
        if (object.id === undefined) {
          throw GraftApiError.fromBody(message.data, {
            status: response.status,
            requestId: response.requestId,
            retryable: true,
          });
        }
        if (message.id !== '') lastEventId = message.id;
        attemptsWithoutEvent = 0;
        yield object;
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isTransient(error) || attemptsWithoutEvent >= reconnects) throw error;
    }
    // The stream ended without [DONE]: the server stopped, or a proxy closed the connection. Reconnect.
    if (attemptsWithoutEvent++ >= reconnects) {
      throw new GraftConnectionError(
        `The event stream ended, and ${reconnects} attempts to reconnect brought no new event.`,
      );
    }
    await pause(retryDelay(attemptsWithoutEvent - 1, null) ?? 0, options.signal);
  }
}

import { GraftApiError, GraftConnectionError, isTransient } from '../errors.ts';
import { pause, retryDelay } from '../retry.ts';
import { serverSentEvents } from '../server-sent-events.ts';
import type { Transport } from '../transport.ts';
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
export const streamJobEvents = (transport: Transport, jobPath: string, options: EventStreamOptions) =>
  streamObjects<JobEvent>(transport, `${jobPath}/events?stream=true`, options);

/** Streams jobs of the team as they change, reconnecting as needed. */
export const streamJobChanges = (transport: Transport, options: ChangeStreamOptions) =>
  streamObjects<FineTuningJob>(transport, '/fine_tuning/jobs/changes', options);

async function* streamObjects<T extends { id: string }>(
  transport: Transport,
  path: string,
  options: EventStreamOptions & ChangeStreamOptions,
): AsyncGenerator<T, void, void> {
  const { reconnects = RECONNECTS } = options;
  let lastEventId = options.lastEventId ?? '';
  let fruitless = 0;
  for (;;) {
    try {
      const response = await transport.open({
        method: 'GET',
        path,
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
        fruitless = 0;
        yield object;
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isTransient(error) || fruitless >= reconnects) throw error;
    }
    // The stream ended without [DONE]: the server stopped, or a proxy closed the connection. Reconnect.
    if (fruitless++ >= reconnects) {
      throw new GraftConnectionError('The stream of events ended, and could not be had again.');
    }
    await pause(retryDelay(fruitless - 1, null) ?? 0, options.signal);
  }
}

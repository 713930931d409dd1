import { setTimeout as sleep } from 'node:timers/promises';
import { pickServer, type Services } from '@graft/service';
import { ApiError } from '../../../../apps/api/src/api-error.ts';
import { errorCodes } from '../../../../apps/api/src/error-codes.ts';
import { readLines } from './read-lines.ts';

/** Body of a worker's `POST /internal/generate`. */
export interface WorkerRequest {
  base_model: string;
  /** `base_digest`: of the base model's weights when the adapter was trained. */
  adapter: { version_id: string; digest: string; base_digest: string } | null;
  messages?: { role: string; content: string }[];
  prompt?: string;
  /** Null: as many as fit in the context. */
  max_tokens: number | null;
  temperature: number;
  top_p: number;
  stop: string[];
  seed: number | null;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** Lines of a worker's answer. */
type WorkerLine =
  | { type: 'token'; text: string }
  | { type: 'done'; finish_reason: 'stop' | 'length'; usage: Usage }
  | { type: 'error'; status: number; code: string; message: string; param: string | null };

export type GenerationEvent = Exclude<WorkerLine, { type: 'error' }>;

/** Seconds after which a client may try again when no worker was free. */
const retryAfterSeconds = 5;
const pollMs = 200;

/**
 * A worker's answer: resolves with its first event at hand, so that what fails before it is a status of its own.
 * Workers that are gone, busy or leaving are passed over; none within `waitMs` is 503 `no_worker_available`. Later
 * faults are thrown while the events are read. Aborting `signal` makes the worker stop.
 */
export async function generate(
  services: Services,
  request: WorkerRequest,
  options: { waitMs: number; signal: AbortSignal },
): Promise<AsyncGenerator<GenerationEvent>> {
  const deadline = performance.now() + options.waitMs;
  let refused: string[] = [];
  for (;;) {
    const server = await pickServer(services, request.base_model, refused);
    if (server) {
      const events = await ask(services, server.address, request, options.signal);
      if (events) return events;
      refused.push(server.id);
      continue;
    }
    if (performance.now() >= deadline || options.signal.aborted) throw noWorker();
    await sleep(pollMs, undefined, { signal: options.signal }).catch(() => {});
    // Busy a moment ago need not be busy now.
    refused = [];
  }
}

/** Null: this worker takes no request now. */
async function ask(
  services: Services,
  address: string,
  request: WorkerRequest,
  signal: AbortSignal,
): Promise<AsyncGenerator<GenerationEvent> | null> {
  let response: Response;
  try {
    response = await fetch(new URL('/internal/generate', address), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${services.secrets.internalToken}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(request),
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw noWorker();
    services.log.warn({ err: error, address }, 'worker unreachable');
    return null;
  }
  if (response.status === 503) {
    await response.body?.cancel();
    return null;
  }
  if (!response.ok || !response.body) {
    services.log.error({ address, statusCode: response.status }, 'worker refused a request');
    await response.body?.cancel();
    throw workerFailed();
  }
  const events = eventsOf(response.body, services, signal);
  const first = await events.next().catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 503) return null;
    throw error;
  });
  return first && prepend(first, events);
}

async function* prepend<T>(first: IteratorResult<T>, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    if (first.done) return;
    yield first.value;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

async function* eventsOf(
  body: NonNullable<Response['body']>,
  services: Services,
  signal: AbortSignal,
): AsyncGenerator<GenerationEvent> {
  try {
    for await (const line of readLines(body)) {
      const event = JSON.parse(line) as WorkerLine;
      if (event.type === 'error') throw fromWorker(event);
      yield event;
      if (event.type === 'done') return;
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    // The client is gone: nobody reads what is thrown.
    if (!signal.aborted) services.log.error({ err: error }, 'worker broke off');
    throw workerFailed(error);
  }
  throw workerFailed();
}

/** A user's fault keeps its code and message; a worker's own says no more than that. */
function fromWorker({ status, code, message, param }: Extract<WorkerLine, { type: 'error' }>): ApiError {
  if (status === 503) return noWorker();
  if (status >= 500) return workerFailed();
  const known = code in errorCodes ? (code as keyof typeof errorCodes) : 'bad_request';
  return Object.assign(new ApiError(known, message, { status, param }), { code });
}

function noWorker(): ApiError {
  return new ApiError('no_worker_available', 'No worker is free to answer; try again.', {
    headers: { 'retry-after': String(retryAfterSeconds) },
  });
}

function workerFailed(cause?: unknown): ApiError {
  return new ApiError('worker_failed', 'The worker that answered broke off.', { cause });
}

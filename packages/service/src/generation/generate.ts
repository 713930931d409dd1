import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../services.ts';
import { type PickedWorker, pickWorker } from '../workers/worker-registry.ts';
import { decodeLines, startReading } from './lines.ts';
import { postToWorker } from './post-to-worker.ts';
import type { GenerationEvent, GenerationLine, GenerationRequest } from './protocol.ts';

const pollMilliseconds = 200;

/**
 * Why there is no answer, or only a part of one. Statuses: 503 `no_worker_available`; 502 `worker_failed`, without the
 * worker's reason; below 500 the user's fault, with code, message and param of the worker.
 */
export class GenerationError extends Error {
  readonly code: string;
  readonly status: number;
  readonly param: string | null;
  /** Tokens that a worker has read and written for what is then the user's fault. */
  readonly used: { promptTokens: number; completionTokens: number };

  constructor(
    code: string,
    status: number,
    message: string,
    param: string | null = null,
    {
      cause,
      used = { promptTokens: 0, completionTokens: 0 },
    }: { cause?: unknown; used?: GenerationError['used'] } = {},
  ) {
    super(message, { cause });
    this.used = used;
    this.name = 'GenerationError';
    this.code = code;
    this.status = status;
    this.param = param;
  }
}

/**
 * Has a worker answer. Resolves once the first event is there, so that an earlier fault can be answered by a status; later
 * faults are thrown while the events are read. Workers that are gone, busy or stopping are passed over, for `waitMs` at the
 * most; `first` is asked before any other. Aborting `signal` makes the worker stop. Throws GenerationError.
 */
export async function generate(
  services: Pick<Services, 'sql' | 'db' | 'secrets' | 'log'>,
  request: GenerationRequest,
  options: { waitMs: number; signal: AbortSignal; first?: PickedWorker | null },
): Promise<AsyncGenerator<GenerationEvent>> {
  const deadline = performance.now() + options.waitMs;
  let refused: string[] = [];
  let first = options.first;
  for (;;) {
    const worker = first ?? (await pickWorker(services, request.base_model, refused));
    first = null;
    if (worker) {
      const events = await ask(services, worker.address, request, options.signal);
      if (events) return events;
      refused.push(worker.id);
      continue;
    }
    if (performance.now() >= deadline || options.signal.aborted) throw noWorker();
    await sleep(pollMilliseconds, undefined, { signal: options.signal }).catch(() => {});
    // A worker that was busy a moment ago may be free now.
    refused = [];
  }
}

/** Null: this worker takes no request now. */
async function ask(
  services: Pick<Services, 'secrets' | 'log'>,
  address: string,
  request: GenerationRequest,
  signal: AbortSignal,
): Promise<AsyncGenerator<GenerationEvent> | null> {
  let response: IncomingMessage;
  try {
    response = await postToWorker(address, request, { secrets: services.secrets, signal });
  } catch (error) {
    if (signal.aborted) throw noWorker();
    services.log.warn({ err: error, address }, 'worker unreachable');
    return null;
  }
  if (response.statusCode !== 200) {
    response.destroy();
    if (response.statusCode === 503) return null;
    services.log.error({ address, statusCode: response.statusCode }, 'worker refused a request');
    throw workerFailed();
  }
  const events = eventsOf(response, services, signal);
  try {
    return await startReading(events);
  } catch (error) {
    if (error instanceof GenerationError && error.status === 503) return null;
    throw error;
  }
}

async function* eventsOf(
  body: IncomingMessage,
  services: Pick<Services, 'log'>,
  signal: AbortSignal,
): AsyncGenerator<GenerationEvent> {
  try {
    for await (const line of decodeLines(body)) {
      if (line.type === 'error') throw reported(line);
      yield line;
      if (line.type === 'done') return;
    }
  } catch (error) {
    if (error instanceof GenerationError) throw error;
    // An aborted request broke off on purpose, and nobody reads what is thrown.
    if (!signal.aborted) services.log.error({ err: error }, 'worker broke off');
    throw workerFailed(error);
  }
  throw workerFailed();
}

/** A user's fault keeps its code and message; a fault of the worker does not tell its reason. */
function reported(line: Extract<GenerationLine, { type: 'error' }>): GenerationError {
  if (line.status === 503) return noWorker();
  if (line.status >= 500) return workerFailed();
  const used = { promptTokens: line.prompt_tokens ?? 0, completionTokens: line.completion_tokens ?? 0 };
  return new GenerationError(line.code, line.status, line.message, line.param, { used });
}

function noWorker(): GenerationError {
  return new GenerationError('no_worker_available', 503, 'No worker is free to answer; try again.');
}

function workerFailed(cause?: unknown): GenerationError {
  return new GenerationError('worker_failed', 502, 'The worker that answered broke off.', null, { cause });
}

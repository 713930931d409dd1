import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Static, TSchema } from 'typebox';
import { decodeLines, startReading } from '../channel/lines.ts';
import { type ErrorLine, generationProtocol, protocolOf } from '../channel/protocol.ts';
import type { Database } from '../database/database.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { type PickedWorker, pickWorker } from '../workers/worker-registry.ts';
import { postToWorker, type WorkerCall } from './post-to-worker.ts';

const pollMilliseconds = 200;

export type GenerationServices = Database & { secrets: Secrets; log: Logger };

/** A request to any worker, and the schema of the lines of its response: the last has the type `done`, or is an error. */
export interface Question<Schema extends TSchema> {
  baseModel: string;
  call: WorkerCall;
  line: Schema;
  /** Set if workers of earlier versions with the same protocol do not know the path. */
  isNewPath?: true;
}

type EventOf<Schema extends TSchema> = Exclude<Static<Schema>, { type: 'error' }>;

/**
 * Why there is no answer, or only a part of one. Statuses: 503 `no_worker_available`, or `worker_version_mismatch` if the only
 * workers use another protocol; 502 `worker_failed`, without the worker's reason; below 500 for a user error, with the worker's code,
 * message and param.
 */
export class GenerationError extends Error {
  readonly code: string;
  readonly status: number;
  readonly param: string | null;
  /** Tokens that a worker had read and written before it reported a user error. */
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
 * Lets a worker answer. Resolves when the first event has arrived, so that the API can answer an earlier error with a status; later
 * errors are thrown while the events are read. Skips workers that are gone, busy, stopping or of another protocol, for at most
 * `waitMs`; tries `first` before any other. Aborting `signal` makes the worker stop. Throws GenerationError.
 */
export async function askWorkers<Schema extends TSchema>(
  services: GenerationServices,
  question: Question<Schema>,
  options: { waitMs: number; signal: AbortSignal; first?: PickedWorker | null },
): Promise<AsyncGenerator<EventOf<Schema>>> {
  const deadline = performance.now() + options.waitMs;
  const mismatched: string[] = [];
  let refused: string[] = [];
  let isAnyBusy = false;
  let first = options.first;
  for (;;) {
    const worker = first ?? (await pickWorker(services, question.baseModel, [...mismatched, ...refused]));
    first = null;
    if (worker) {
      const answer = await ask(services, worker, question, options.signal);
      if (typeof answer !== 'string') return answer;
      (answer === 'other protocol' ? mismatched : refused).push(worker.id);
      if (answer === 'busy') isAnyBusy = true;
      continue;
    }
    if (options.signal.aborted) throw noWorker();
    if (performance.now() >= deadline)
      throw mismatched.length > 0 && !isAnyBusy ? versionMismatch() : noWorker();
    await sleep(pollMilliseconds, undefined, { signal: options.signal }).catch(() => {});
    // A worker that was busy a moment ago may be free now.
    refused = [];
  }
}

const isError = (line: ErrorLine | { type: string }): line is ErrorLine => line.type === 'error';

/** Why a worker does not answer although another one may. */
type PassedOver = 'away' | 'busy' | 'other protocol';

/** Statuses of a worker that does not know the route, the media type or the fields of a request. */
const notUnderstood = [400, 404, 405, 415, 422];

async function ask<Schema extends TSchema>(
  services: Pick<GenerationServices, 'secrets' | 'log'>,
  worker: PickedWorker,
  question: Question<Schema>,
  signal: AbortSignal,
): Promise<AsyncGenerator<EventOf<Schema>> | PassedOver> {
  const { id, address, protocol, proof } = worker;
  const mismatch = (workerProtocol: number | null, statusCode?: number): PassedOver => {
    services.log.error(
      { workerId: id, address, workerProtocol, apiProtocol: generationProtocol, statusCode },
      'the worker is of another version of Graft and cannot answer completions of this API: upgrade the older of the two',
    );
    return 'other protocol';
  };
  if (protocol !== null && protocol !== generationProtocol) return mismatch(protocol);
  if (proof === null) return mismatch(null);
  let response: IncomingMessage;
  try {
    response = await postToWorker(worker, question.call, { secrets: services.secrets, signal });
  } catch (error) {
    if (signal.aborted) throw noWorker();
    services.log.warn({ err: error, address }, 'worker unreachable');
    return 'away';
  }
  const { statusCode = 0 } = response;
  if (statusCode !== 200) {
    response.destroy();
    const theirs = protocolOf(response.headers);
    const isOther = theirs === null ? notUnderstood.includes(statusCode) : theirs !== generationProtocol;
    const isUnknownPath = question.isNewPath === true && statusCode === 404;
    if (isOther || isUnknownPath) return mismatch(theirs, statusCode);
    if (statusCode === 503) return 'busy';
    services.log.error({ address, statusCode }, 'worker refused a request');
    throw workerFailed();
  }
  const events = eventsOf(response, question.line, services, signal);
  try {
    return await startReading(events);
  } catch (error) {
    if (error instanceof GenerationError && error.status === 503) return 'busy';
    throw error;
  }
}

async function* eventsOf<Schema extends TSchema>(
  body: IncomingMessage,
  schema: Schema,
  services: Pick<GenerationServices, 'log'>,
  signal: AbortSignal,
): AsyncGenerator<EventOf<Schema>> {
  try {
    for await (const each of decodeLines(body, schema)) {
      const line = each as ErrorLine | { type: string };
      if (isError(line)) throw reported(line);
      yield each as EventOf<Schema>;
      if (line.type === 'done') return;
    }
  } catch (error) {
    if (error instanceof GenerationError) throw error;
    // An aborted request ends on purpose, and no caller reads the error.
    if (!signal.aborted) services.log.error({ err: error }, 'worker broke off');
    throw workerFailed(error);
  }
  throw workerFailed();
}

/** Converts an error line: a user error keeps its code and message; the reason of a worker's error is hidden. */
function reported(line: ErrorLine): GenerationError {
  if (line.status === 503) return noWorker();
  if (line.status >= 500) return workerFailed();
  const used = { promptTokens: line.prompt_tokens ?? 0, completionTokens: line.completion_tokens ?? 0 };
  return new GenerationError(line.code, line.status, line.message, line.param, { used });
}

function noWorker(): GenerationError {
  return new GenerationError('no_worker_available', 503, 'No worker is free to answer; try again.');
}

function versionMismatch(): GenerationError {
  return new GenerationError(
    'worker_version_mismatch',
    503,
    'The workers are of another version of Graft than the API, and cannot answer: an upgrade is under way, or was left half done. ' +
      'Try again later; the operator sees the versions on the page Operator.',
  );
}

function workerFailed(cause?: unknown): GenerationError {
  return new GenerationError('worker_failed', 502, 'The worker that answered broke off.', null, { cause });
}

import { GraftError } from '@graft/peft-core/config';
import { isLastingModelFault } from '@graft/service/base-models';
import { GenerationError } from '@graft/service/generation';
import { instruments } from '@graft/service/observe';
import { toStorageFault } from '@graft/service/storage';
import { QuotaExceeded } from '@graft/service/teams';
import { SendLimitExceeded } from '@graft/service/webhooks';
import type { FastifyError } from 'fastify';
import { ApiError } from './api-error.ts';
import { type ErrorCode, errorCodes } from './error-codes.ts';
import { type Shortage, shortageOf } from './shortage.ts';
import { QueueFull } from './threads/fair-queue.ts';

/** Seconds after which a client may retry if the server lacks something or no worker is free. */
const retryAfterSeconds = 5;
/** Seconds after which a client may retry if the row to change is locked. */
const rowRetryAfterSeconds = 2;

const shortages: Record<Shortage, [code: ErrorCode, message: string, retryAfter: number]> = {
  turn: ['overloaded', 'The server has more to do than it can; try again.', retryAfterSeconds],
  row: ['resource_busy', 'Another request is changing the same object; try again.', rowRetryAfterSeconds],
  statement: ['overloaded', 'The database took too long to answer; try again.', retryAfterSeconds],
  database: ['service_unavailable', 'The database is unavailable; try again.', retryAfterSeconds],
  thread: ['overloaded', 'The server took too long to check this; try again.', retryAfterSeconds],
  machine: [
    'overloaded',
    'The server has too little memory, or too many files open; try again.',
    retryAfterSeconds,
  ],
};

/** Errors of the storage and of the Hub that are shown to clients. */
const shownCodes = new Set([
  'storage_away',
  'storage_full',
  'file_corrupt',
  'artifact_corrupt',
  'data_set_unavailable',
  'estimate_timeout',
]);

export function toApiError(error: FastifyError | ApiError | GraftError | Error): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof QuotaExceeded) return fromQuota(error);
  if (error instanceof SendLimitExceeded)
    return new ApiError('rate_limit_exceeded', error.message, {
      headers: { 'retry-after': String(error.retryAfter) },
    });
  if (error instanceof QueueFull && error.whose === 'owner')
    return new ApiError('too_many_requests', error.message, {
      cause: error,
      headers: { 'retry-after': String(retryAfterSeconds) },
    });
  if (error instanceof GraftError) return fromGraftError(error);
  if (error instanceof GenerationError) return fromGenerationError(error);
  const shortage = shortageOf(error);
  if (shortage !== null) return fromShortage(shortage, error);
  // Errors of files outside of the storage, such as those of a temporary folder on a full disk.
  const fault = toStorageFault(error);
  if (fault instanceof GraftError) return fromGraftError(fault);
  return fromFastifyError(error as FastifyError);
}

function fromShortage(shortage: Shortage, cause: Error): ApiError {
  instruments.overload.inc({ reason: shortage });
  const [code, message, retryAfter] = shortages[shortage];
  return new ApiError(code, message, { cause, headers: { 'retry-after': String(retryAfter) } });
}

/**
 * User errors keep code, message and param, and so do errors of base models, storage and the Hub, whose messages are written for clients. Other
 * system errors reveal nothing.
 */
function fromGraftError(error: GraftError): ApiError {
  const isModelError = error.code === 'base_model_unavailable' || isLastingModelFault(error.code);
  if (error.fault !== 'user' && !isModelError && !shownCodes.has(error.code)) return internalError();
  const status = error.code in errorCodes ? errorCodes[error.code as ErrorCode][0] : 400;
  const isPassing = status === 503 || status === 429;
  const headers = isPassing ? { 'retry-after': String(retryAfterSeconds) } : {};
  const details = (error.details ?? []).map(({ path, ...detail }) => ({
    ...(path !== undefined && { param: path }),
    ...detail,
  }));
  const options = { param: error.param, status, headers, details };
  return Object.assign(new ApiError('bad_request', error.message, options), { code: error.code });
}

/** 429 if the quota frees up with time alone. If not soon, `x-should-retry: false` stops automatic retries. */
function fromQuota({ message, param, frees }: QuotaExceeded): ApiError {
  if (frees === null) return new ApiError('quota_exceeded', message, { param, status: 403 });
  const seconds =
    frees === 'soon' ? retryAfterSeconds : Math.max(1, Math.ceil((frees.getTime() - Date.now()) / 1000));
  const headers = { 'retry-after': String(seconds), ...(frees !== 'soon' && { 'x-should-retry': 'false' }) };
  return new ApiError('quota_exceeded', message, { param, headers });
}

function fromGenerationError(error: GenerationError): ApiError {
  const { message, status, param, code, cause } = error;
  const headers = status === 503 ? { 'retry-after': String(retryAfterSeconds) } : {};
  return Object.assign(new ApiError('bad_request', message, { status, param, headers, cause }), { code });
}

function fromFastifyError(error: FastifyError): ApiError {
  const status = error.statusCode ?? 500;
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ApiError('body_too_large', 'The body is larger than 1 MB.');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new ApiError('unsupported_media_type', 'This route does not support this Content-Type.');
    case 'FST_ERR_BAD_URL':
      return new ApiError('unknown_url', 'The URL is not valid.');
  }
  if (status >= 400 && status < 500) return new ApiError('bad_request', error.message, { status });
  return internalError();
}

function internalError(): ApiError {
  return new ApiError('internal_error', 'Internal error. The server’s log has the details.');
}

import type { GraftError } from '@graft/peft-core/config';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { type ApiError, errorBody } from '../api-error.ts';
import { shortageOf } from '../shortage.ts';
import { toApiError } from '../to-api-error.ts';

/** Sends every error, also Fastify's own, in OpenAI's format, without stack, path or SQL. */
export const errors = fp(async (app) => {
  app.setErrorHandler(answerError);
});

export function answerError(
  error: FastifyError | ApiError | GraftError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const answer = toApiError(error);
  // Under overload a line for each refused request would be one more load; `graft_overload_total` and the request's own line count them.
  const isExpected = answer.code === 'no_worker_available' || shortageOf(error) === 'turn';
  if (answer.status >= 500 && !isExpected) {
    request.log.error({ err: error }, 'request failed');
  }
  reply
    .code(answer.status)
    .headers({ ...answer.headers, 'x-request-id': request.id })
    .type('application/json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(errorBody(answer.status, answer.code, answer.message, answer.param, answer.details));
}

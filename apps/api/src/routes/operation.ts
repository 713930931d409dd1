import { errorResponses } from '@graft/wire/error';
import type { FastifyContextConfig, FastifySchema } from 'fastify';
import type { TSchema } from 'typebox';

/** Further properties of a route's schema. `errors`: further statuses. */
export type OperationSchema = Omit<FastifySchema, 'tags' | 'summary' | 'response'> & { errors?: number[] };

/**
 * Returns a function that builds the options of a route of this section of the documentation. The route responds with `answer`, or with
 * an error: 400, without the access that `config` requires 401 and 403, for an unknown id in its path 404, and `errors`. Errors that any
 * request may get, such as 429 and 503, are added to the documentation of every route.
 */
export function operations(tag: string) {
  return function operation<C extends FastifyContextConfig, A extends TSchema, S extends OperationSchema>(
    config: C,
    summary: string,
    answer: A,
    { errors = [], ...schema }: S = {} as S,
  ) {
    const statuses = [400, ...(config.access === 'public' ? [] : [401, 403]), ...errors];
    if (schema.params) statuses.push(404);
    const response = { 200: answer, ...errorResponses(...statuses) };
    return { config, schema: { tags: [tag], summary, ...schema, response } };
  };
}

import type { FastifySchema } from 'fastify';
import type { TSchema } from 'typebox';
import { errorResponses } from '../../schemas/error.ts';

/**
 * The options of a route of the operator. It answers `answer`, or an error: 400 where it takes a body or a query, 404 where it takes an
 * id, and those of `errors`.
 */
export function operation<A extends TSchema, S extends FastifySchema>(
  summary: string,
  answer: A,
  { errors = [], ...schema }: S & { errors?: number[] } = {} as S,
) {
  const statuses = [401, 403, ...errors];
  if (schema.body || schema.querystring) statuses.push(400);
  if (schema.params) statuses.push(404);
  return {
    config: { access: 'operator' } as const,
    schema: {
      tags: ['Operator'],
      summary,
      ...schema,
      response: { 200: answer, ...errorResponses(...statuses) },
    },
  };
}

import type { FastifySchema } from 'fastify';
import type { TSchema } from 'typebox';
import { errorResponses } from '../../schemas/error.ts';

/**
 * The options of a route of the operator. It answers `answer`, or an error: 400 where it takes a body or a query, 404 where it takes an
 * id, and `more`.
 */
export function operation<A extends TSchema, S extends FastifySchema>(
  summary: string,
  answer: A,
  schema: S = {} as S,
  ...more: number[]
) {
  const errors = [401, 403, ...more];
  if (schema.body || schema.querystring) errors.push(400);
  if (schema.params) errors.push(404);
  return {
    config: { access: 'operator' } as const,
    schema: {
      tags: ['Operator'],
      summary,
      ...schema,
      response: { 200: answer, ...errorResponses(...errors) },
    },
  };
}

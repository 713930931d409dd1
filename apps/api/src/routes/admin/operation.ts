import type { FastifySchema } from 'fastify';
import type { TSchema } from 'typebox';
import { errorResponses } from '../../schemas/error.ts';

/**
 * Options of an operator's route that responds with `answer`. Its errors are 400 if it has a body or a query, 404 if it has an id, and
 * `errors`.
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

import type { FastifySchema } from 'fastify';

/** The options of a route of the operator. */
export const operation = <S extends FastifySchema>(schema: S) => ({
  config: { access: 'operator' } as const,
  schema: { tags: ['Operator'], ...schema },
});

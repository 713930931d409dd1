import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { probeWrite } from '@graft/service/database';
import { ErrorSchema } from '@graft/wire/error';
import { Type } from 'typebox';
import { errorBody } from '../api-error.ts';

/** Milliseconds until a dependency counts as missing. */
const patience = 2_000;

const Checks = Type.Object({
  postgres: Type.Enum(['ok', 'missing'], { type: 'string' }),
  queue: Type.Enum(['ok', 'missing'], { type: 'string' }),
});

const tags = ['Health'];

/** Liveness and readiness of the process. Public: the responses contain nothing about teams. */
export const healthRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/healthz',
    {
      config: { unlimited: true },
      schema: {
        tags,
        summary: 'Check that the process is alive',
        security: [],
        response: { 200: Type.Object({ status: Type.Literal('ok') }) },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      config: { unlimited: true },
      schema: {
        tags,
        summary: 'Check that the service is ready',
        description:
          'Ready means that Postgres accepts writes. Without the queue the server is ready but `degraded`: jobs are accepted, and start at a worker’s next poll instead of immediately.',
        security: [],
        response: {
          200: Type.Object({ status: Type.Enum(['ready', 'degraded'], { type: 'string' }), checks: Checks }),
          503: Type.Object({
            status: Type.Literal('not_ready'),
            checks: Checks,
            error: ErrorSchema.properties.error,
          }),
        },
      },
    },
    async (request, reply) => {
      const [postgres, queue] = await Promise.all([
        inTime(probeWrite(services)),
        inTime(services.queue.depth()),
      ]);
      const checks = { postgres: postgres.state, queue: queue.state };
      if (postgres.state === 'ok') {
        if (queue.state === 'ok') return { status: 'ready' as const, checks };
        request.log.warn({ err: queue.error }, 'degraded');
        return { status: 'degraded' as const, checks };
      }
      request.log.warn({ err: postgres.error }, 'not ready');
      const message = 'Not ready: Postgres does not respond or does not accept writes.';
      return reply
        .code(503)
        .header('retry-after', '5')
        .send({ status: 'not_ready', checks, ...errorBody(503, 'service_unavailable', message, null) });
    },
  );
};

/** The result of a dependency, or `missing` if it does not respond in time. */
export async function inTime<T>(
  work: Promise<T>,
): Promise<{ state: 'ok'; value: T } | { state: 'missing'; value?: undefined; error: unknown }> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${patience} ms`)), patience);
  });
  try {
    return { state: 'ok', value: await Promise.race([work, late]) };
  } catch (error) {
    return { state: 'missing', error };
  } finally {
    clearTimeout(timer);
  }
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { pingDatabase } from '@graft/service';
import { Type } from 'typebox';
import { errorBody } from '../api-error.ts';
import { ErrorSchema } from '../schemas/error.ts';

/** Milliseconds that a dependency has to answer. */
const patience = 2_000;

const Checks = Type.Object({
  postgres: Type.Enum(['ok', 'missing'], { type: 'string' }),
  queue: Type.Enum(['ok', 'missing'], { type: 'string' }),
});

const tags = ['Health'];

/** Whether the process lives, and whether it can do its work. Open to all: the answers say nothing of any team. */
export const healthRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/healthz',
    {
      schema: {
        tags,
        summary: 'The process lives',
        security: [],
        response: { 200: Type.Object({ status: Type.Literal('ok') }) },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      schema: {
        tags,
        summary: 'Postgres and the queue answer',
        security: [],
        response: {
          200: Type.Object({ status: Type.Literal('ready'), checks: Checks }),
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
        answers(pingDatabase(services)),
        answers(services.queue.depth()),
      ]);
      const checks = { postgres: postgres.state, queue: queue.state };
      if (postgres.state === 'ok' && queue.state === 'ok') return { status: 'ready' as const, checks };
      request.log.warn({ err: postgres.error ?? queue.error }, 'not ready');
      const missing = Object.entries(checks).filter(([, state]) => state === 'missing');
      const message = `Not ready, missing: ${missing.map(([name]) => name).join(', ')}.`;
      return reply
        .code(503)
        .header('retry-after', '5')
        .send({
          status: 'not_ready',
          checks,
          ...errorBody(503, 'service_unavailable', message, null),
        });
    },
  );
};

async function answers(work: Promise<unknown>): Promise<{ state: 'ok' | 'missing'; error?: unknown }> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${patience} ms`)), patience);
  });
  try {
    await Promise.race([work, late]);
    return { state: 'ok' };
  } catch (error) {
    return { state: 'missing', error };
  } finally {
    clearTimeout(timer);
  }
}

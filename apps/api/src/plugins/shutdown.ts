import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

/** A request that comes on an open connection while the server closes is sent elsewhere, or to try again. */
export const shutdown = fp(async (app) => {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.addHook('onRequest', async () => {
    if (!closing) return;
    throw new ApiError('service_unavailable', 'The server is restarting; try again.', {
      headers: { 'retry-after': '5', connection: 'close' },
    });
  });
});

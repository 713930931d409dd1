import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

/**
 * Closes what Node leaves open when a server closes: waits for running requests, but not for idle connections.
 */
export const shutdown = fp(async (app) => {
  let closing = false;
  // Connections without a request yet: browsers and clients open some in advance.
  const silent = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  app.server.on('request', (request: IncomingMessage) => silent.delete(request.socket));

  app.addHook('preClose', async () => {
    closing = true;
    for (const socket of silent) socket.destroy();
  });
  // The response's headers promised keep-alive, so the connection is ended here.
  app.addHook('onResponse', async (request) => {
    if (closing) request.raw.socket.end();
  });
  // A new request on an open connection gets 503, so that the client retries, if possible on another server.
  app.addHook('onRequest', async () => {
    if (!closing) return;
    throw new ApiError('service_unavailable', 'The server is restarting; try again.', {
      headers: { 'retry-after': '5', connection: 'close' },
    });
  });
});

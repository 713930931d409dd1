import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

/**
 * What Node leaves open when a server closes. Requests under way are waited for; a connection holds the server no
 * longer than that.
 */
export const shutdown = fp(async (app) => {
  let closing = false;
  // Connections that have not sent a request: browsers and clients open some ahead.
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
  // The answer has told the client already that its connection stays open.
  app.addHook('onResponse', async (request) => {
    if (closing) request.raw.socket.end();
  });
  // A request on an open connection is sent elsewhere, or to try again.
  app.addHook('onRequest', async () => {
    if (!closing) return;
    throw new ApiError('service_unavailable', 'The server is restarting; try again.', {
      headers: { 'retry-after': '5', connection: 'close' },
    });
  });
});

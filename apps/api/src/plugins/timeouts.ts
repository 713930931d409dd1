import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';
import { isPart } from './limits/is-part.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body may take any time while bytes keep arriving; the route itself aborts after a silence. */
    longBody?: boolean;
  }
}

interface TimeoutOptions {
  /** Maximum milliseconds for a body of any Content-Type to arrive. */
  bodyTimeoutMs: number;
  /** A connection without progress is closed after this time, between requests or while the client does not read. */
  stallMs: number;
}

/** Ends what a client starts and does not finish: bodies that never arrive completely, responses that nobody reads. */
export const timeouts = fp<TimeoutOptions>(async (app, { bodyTimeoutMs, stallMs }) => {
  const answering = new WeakMap<Socket, ServerResponse>();

  // Node calls this instead of closing the connection. Silence while the server prepares a response is not the client's fault.
  app.server.setTimeout(stallMs, (socket) => {
    if (!answering.has(socket) || socket.writableLength > 0) socket.destroy();
  });
  app.addHook('onRequest', async (request, reply) => {
    const { socket } = request.raw;
    answering.set(socket, reply.raw);
    // Fastify, its streams and several plugins listen for the end of each response, which is no leak.
    reply.raw.setMaxListeners(20);
    reply.raw.once('close', () => {
      if (answering.get(socket) === reply.raw) answering.delete(socket);
      dropRest(request.raw, bodyTimeoutMs);
    });
  });

  app.addHook('preParsing', async (request, reply, payload) => {
    const { raw } = request;
    if (request.routeOptions.config.longBody || raw.complete || isPart(raw)) return payload;
    // Through a separate stream: ending the request itself would close the socket before the 408 is written.
    const body = new PassThrough();
    const timer = setTimeout(() => {
      body.destroy(new ApiError('request_timeout', 'The body did not arrive in time.'));
    }, bodyTimeoutMs);
    body.once('close', () => clearTimeout(timer));
    // If a body is refused unread, nothing else listens for its errors.
    body.on('error', () => {});
    payload.once('error', (error) => body.destroy(error));
    payload.pipe(body);
    reply.raw.once('close', () => body.destroy());
    reply.raw.once('finish', () => {
      // Unread bytes are dropped, so that the connection can carry the next request.
      payload.unpipe(body);
      payload.resume();
      body.destroy();
    });
    return body;
  });
});

/** Reads and drops the rest of a body whose response was sent early, for at most `ms`. */
function dropRest(request: IncomingMessage, ms: number): void {
  // An internal request is complete: it never reports its end, and a timer would keep it in memory.
  if (request.complete || isPart(request) || request.socket.destroyed) return;
  const timer = setTimeout(() => request.destroy(), ms).unref();
  request.once('close', () => clearTimeout(timer));
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';
import { isPart } from './limits/is-part.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body may take as long as bytes keep coming; the route itself cuts off silence. */
    longBody?: boolean;
  }
}

interface TimeoutOptions {
  /** A body, whatever its Content-Type, that takes longer than this to arrive is given up. */
  bodyTimeoutMs: number;
  /** A connection on which nothing moves for this long while the client does not read, or between requests, is closed. */
  stallMs: number;
}

/** Ends what a client starts and does not go on with: bodies that never come whole, answers that nobody reads. */
export const timeouts = fp<TimeoutOptions>(async (app, { bodyTimeoutMs, stallMs }) => {
  const answering = new WeakMap<Socket, ServerResponse>();

  // Node calls this instead of closing the connection. Silence while an answer is being made is none of the client's.
  app.server.setTimeout(stallMs, (socket) => {
    if (!answering.has(socket) || socket.writableLength > 0) socket.destroy();
  });
  app.addHook('onRequest', async (request, reply) => {
    const { socket } = request.raw;
    answering.set(socket, reply.raw);
    // Fastify, its streams and several plugins wait for the end of each answer: that is no leak.
    reply.raw.setMaxListeners(20);
    reply.raw.once('close', () => {
      if (answering.get(socket) === reply.raw) answering.delete(socket);
      dropRest(request.raw, bodyTimeoutMs);
    });
  });

  app.addHook('preParsing', async (request, reply, payload) => {
    const { raw } = request;
    if (request.routeOptions.config.longBody || raw.complete || isPart(raw)) return payload;
    // Through a stream of its own: ending the request itself would close the socket before the 408 is written.
    const body = new PassThrough();
    const timer = setTimeout(() => {
      body.destroy(new ApiError('request_timeout', 'The body did not arrive in time.'));
    }, bodyTimeoutMs);
    body.once('close', () => clearTimeout(timer));
    // When a body is refused unread, nobody else listens for its errors.
    body.on('error', () => {});
    payload.once('error', (error) => body.destroy(error));
    payload.pipe(body);
    reply.raw.once('close', () => body.destroy());
    reply.raw.once('finish', () => {
      // What was not read is dropped, so that the connection can carry the next request.
      payload.unpipe(body);
      payload.resume();
      body.destroy();
    });
    return body;
  });
});

/** A body that was answered before it came whole has so long to come; it is read and dropped. */
function dropRest(request: IncomingMessage, ms: number): void {
  // What this process asks itself is whole: it never reports its end, and a timer would keep it.
  if (request.complete || isPart(request) || request.socket.destroyed) return;
  const timer = setTimeout(() => request.destroy(), ms).unref();
  request.once('close', () => clearTimeout(timer));
}

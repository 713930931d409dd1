import { AsyncResource } from 'node:async_hooks';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import fp from 'fastify-plugin';

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Sends what `produce` yields as it comes. The signal fires when the client hangs up or the server closes;
     * `produce` must then return.
     */
    stream(contentType: string, produce: (signal: AbortSignal) => AsyncGenerator<string>): FastifyReply;
  }
}

/** Long answers (server-sent events), which a closing server must end rather than wait for. */
export const openStreams = fp(async (app) => {
  const open = new Set<AbortController>();

  app.decorateReply('stream', function (this: FastifyReply, contentType, produce) {
    this.hold('streams');
    const controller = new AbortController();
    open.add(controller);
    this.raw.once('close', () => {
      controller.abort();
      open.delete(controller);
    });
    // A proxy that buffers would hold events back.
    this.headers({ 'content-type': contentType, 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    return this.send(Readable.from(inThisContext(produce(controller.signal)), { objectMode: false }));
  });

  app.addHook('preClose', async () => {
    for (const controller of open) controller.abort();
  });
});

/** The same, each step run for whom this runs: a stream asks for the next piece whenever its client has read. */
function inThisContext(pieces: AsyncGenerator<string>): AsyncIterable<string> {
  const resource = new AsyncResource('stream');
  const next = () => resource.runInAsyncScope(() => pieces.next());
  return { [Symbol.asyncIterator]: () => ({ next, return: () => pieces.return(undefined) }) };
}

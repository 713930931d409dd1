import { AsyncResource } from 'node:async_hooks';
import { Readable } from 'node:stream';
import { findDeadKeys, repeat, type Services } from '@graft/service';
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

/** Milliseconds between two looks whether the keys of open streams are still let in. */
const keyCheckMs = 500;

/**
 * Long answers (server-sent events), which a closing server must end rather than wait for. They end within a second when
 * their key does: its next request, which every other route sees, may never come.
 */
export const openStreams = fp(async (app) => {
  /** Each with the key that asked for it; null: none did. */
  const open = new Map<AbortController, string | null>();

  app.decorateReply('stream', function (this: FastifyReply, contentType, produce) {
    this.hold('streams');
    const controller = new AbortController();
    open.set(controller, this.request.caller?.keyId ?? null);
    this.raw.once('close', () => {
      controller.abort();
      open.delete(controller);
    });
    // A proxy that buffers would hold events back.
    this.headers({ 'content-type': contentType, 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    return this.send(Readable.from(inThisContext(produce(controller.signal)), { objectMode: false }));
  });

  app.addHook('preClose', async () => {
    for (const controller of open.keys()) controller.abort();
  });

  const { services } = app;
  const keyChecks = repeat('stream-keys', keyCheckMs, async () => endDead(services, open), services.log);
  app.addHook('onClose', async () => await keyChecks.stop());
});

/** The same, each step run for whom this runs: a stream asks for the next piece whenever its client has read. */
function inThisContext(pieces: AsyncGenerator<string>): AsyncIterable<string> {
  const resource = new AsyncResource('stream');
  const next = () => resource.runInAsyncScope(() => pieces.next());
  return { [Symbol.asyncIterator]: () => ({ next, return: () => pieces.return(undefined) }) };
}

/** Ends the streams whose keys were revoked, ran out, or went with a membership. While Postgres is away they go on. */
async function endDead(services: Services, open: Map<AbortController, string | null>): Promise<void> {
  const keys = new Set([...open.values()].filter((key) => key !== null));
  if (keys.size === 0) return;
  const dead = new Set(await findDeadKeys(services, [...keys]));
  for (const [controller, key] of open) if (key !== null && dead.has(key)) controller.abort();
}

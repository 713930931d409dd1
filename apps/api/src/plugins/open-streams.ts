import { AsyncResource } from 'node:async_hooks';
import { Readable } from 'node:stream';
import { findDeadKeys, findDeadSessions, repeat, type Services, type SessionLimits } from '@graft/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
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

/** By what a stream was asked for; null: nobody was asked. */
type Opener = { key: string } | { session: string; team: string } | null;

/** Milliseconds between two looks whether the keys and sessions of open streams are still let in. */
const keyCheckMs = 500;

/**
 * Long answers (server-sent events), which a closing server must end rather than wait for. They end within a second when
 * their key or session does: its next request, which every other route sees, may never come.
 */
export const openStreams = fp<{ sessions: SessionLimits }>(async (app, { sessions }) => {
  const open = new Map<AbortController, Opener>();

  app.decorateReply('stream', function (this: FastifyReply, contentType, produce) {
    this.hold('streams');
    const controller = new AbortController();
    open.set(controller, openerOf(this.request));
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
  const keyChecks = repeat(
    'stream-keys',
    keyCheckMs,
    async () => endDead(services, sessions, open),
    services.log,
  );
  app.addHook('onClose', async () => await keyChecks.stop());
});

/** The same, each step run for whom this runs: a stream asks for the next piece whenever its client has read. */
function inThisContext(pieces: AsyncGenerator<string>): AsyncIterable<string> {
  const resource = new AsyncResource('stream');
  const next = () => resource.runInAsyncScope(() => pieces.next());
  return { [Symbol.asyncIterator]: () => ({ next, return: () => pieces.return(undefined) }) };
}

function openerOf({ caller, session }: FastifyRequest): Opener {
  if (!caller) return null;
  if (session) return { session: session.id, team: caller.teamId };
  return caller.keyId === null ? null : { key: caller.keyId };
}

/** Ends the streams whose keys or sessions ended, by themselves or with a membership. While Postgres is away they go on. */
async function endDead(
  services: Services,
  limits: SessionLimits,
  open: Map<AbortController, Opener>,
): Promise<void> {
  const openers = [...open.values()];
  const keys = [...new Set(openers.flatMap((opener) => (opener && 'key' in opener ? [opener.key] : [])))];
  const sessions = openers.flatMap((opener) => (opener && 'session' in opener ? [opener] : []));
  const dead = new Set<string | Opener>([
    ...(keys.length > 0 ? await findDeadKeys(services, keys, limits) : []),
    ...(sessions.length > 0 ? await findDeadSessions(services, limits, sessions) : []),
  ]);
  for (const [controller, opener] of open) {
    if (dead.has(opener && 'key' in opener ? opener.key : opener)) controller.abort();
  }
}

import { AsyncResource } from 'node:async_hooks';
import { Readable } from 'node:stream';
import { findDeadKeys } from '@graft/service/keys';
import { repeat } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import { findDeadSessions, type SessionLimits } from '@graft/service/sessions';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Streams what `produce` yields. The signal fires when the client disconnects or the server closes; `produce` must then
     * return. `isHeld`: the request is counted already, as something else that is limited.
     */
    stream(
      contentType: string,
      produce: (signal: AbortSignal) => AsyncGenerator<string>,
      options?: { isHeld?: boolean },
    ): FastifyReply;
  }
}

/** Authorisation of a stream; null: none. */
type Opener = { key: string } | { session: string; team: string } | null;

/** Milliseconds between two checks of the keys and sessions of open streams. */
const keyCheckMs = 500;

/**
 * Adds long responses (server-sent events), which end when the server closes. They also end within a second when their key or session
 * does: other routes check a key on its next request, which may never come here.
 */
export const openStreams = fp<{ sessions: SessionLimits }>(async (app, { sessions }) => {
  const open = new Map<AbortController, Opener>();

  app.decorateReply('stream', function (this: FastifyReply, contentType, produce, { isHeld = false } = {}) {
    if (!isHeld) this.hold('streams');
    const controller = new AbortController();
    open.set(controller, openerOf(this.request));
    this.raw.once('close', () => {
      controller.abort();
      open.delete(controller);
    });
    // A buffering proxy would delay events.
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

/** Runs each step of the generator in the current async context: a stream requests the next piece whenever its client has read. */
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

/** Ends streams whose key or session has ended, also by loss of a membership. Streams continue while Postgres is unavailable. */
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

import type { Socket } from 'node:net';
import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyReply } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../../api-error.ts';
import { isPart } from './is-part.ts';

/** What a client keeps open, and is counted while it does. */
type Held = 'requests' | 'uploads' | 'streams' | 'completions';

/** Whose it is. */
type Holder = 'key' | 'team' | 'address';

/** How many of each may be open at once. */
export interface OpenLimits {
  perKey: Record<Held, number>;
  /** All its keys together. */
  perTeam: Record<Held, number>;
  /** An address may be a proxy's, with many keys behind it. Of IPv6 a /64 counts as one, since one client has all of it. */
  perAddress: Record<Held, number> & { connections: number };
}

declare module 'fastify' {
  interface FastifyReply {
    /** Counts this request as one more of these until it is answered. Throws `too_many_requests` past a limit. */
    hold(kind: Held): void;
  }
  interface FastifyContextConfig {
    /** Answered however much its address has open: what an orchestrator probes. */
    unlimited?: boolean;
  }
}

/** Seconds after which a client may try again: something it has open itself must end first. */
const retryAfter = { 'retry-after': '5' };

/**
 * Caps what one key, one team and one address may have open, so that no client takes the memory, the sockets and the turns of all
 * others. Requests are counted by address here and by key in `auth`; routes hold uploads and completions, and `stream` holds streams.
 */
export const openLimits = fp<{ limits: OpenLimits }>(async (app, { limits }) => {
  const open = new Map<string, number>();
  /** What each answer is counted as. */
  const held = new WeakMap<FastifyReply, string[]>();

  const limitsOf = { key: limits.perKey, team: limits.perTeam, address: limits.perAddress };

  function take(reply: FastifyReply, kind: Held, holder: Holder, id: string): void {
    const most = limitsOf[holder][kind];
    const name = `${kind} ${holder} ${id}`;
    const count = open.get(name) ?? 0;
    if (count >= most) {
      const message = `This ${holder} has ${count} ${kind} open, and ${most} is the limit; try again when one has ended.`;
      throw new ApiError('too_many_requests', message, { headers: retryAfter });
    }
    add(open, name, 1);
    const names = held.get(reply);
    if (names) names.push(name);
    else holdFirst(reply, name);
  }

  function holdFirst(reply: FastifyReply, name: string): void {
    const names = [name];
    held.set(reply, names);
    reply.raw.once('close', () => {
      for (const each of names) add(open, each, -1);
    });
  }

  app.decorateReply('hold', function (this: FastifyReply, kind) {
    // A closed answer will never be closed again.
    if (this.raw.destroyed) return;
    const { caller, operator, session, ip } = this.request;
    // A client whose requests all wait for parts of theirs would keep itself out.
    if (kind === 'requests' && isPart(this.request.raw)) return;
    const by = caller ?? operator ?? session;
    const key = by && ('keyId' in by && by.keyId ? by.keyId : by.personId);
    if (key) take(this, kind, 'key', key);
    if (caller) take(this, kind, 'team', caller.teamId);
    // The request itself was counted by address when it came.
    if (kind !== 'requests') take(this, kind, 'address', normalizeIP(ip));
  });

  app.addHook('onRequest', async (request, reply) => {
    const { unlimited } = request.routeOptions.config;
    if (!unlimited && !isPart(request.raw)) take(reply, 'requests', 'address', normalizeIP(request.ip));
  });

  const connections = new Map<string, number>();
  app.server.on('connection', (socket: Socket) => {
    const address = normalizeIP(socket.remoteAddress ?? '');
    if ((connections.get(address) ?? 0) >= limits.perAddress.connections) {
      socket.destroy();
      return;
    }
    add(connections, address, 1);
    socket.once('close', () => add(connections, address, -1));
  });
});

function add(counts: Map<string, number>, name: string, change: 1 | -1): void {
  const count = (counts.get(name) ?? 0) + change;
  if (count > 0) counts.set(name, count);
  else counts.delete(name);
}

import type { Socket } from 'node:net';
import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyReply } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../../api-error.ts';
import { isPart } from './is-part.ts';

/** Kinds of things that a client keeps open, each with limits. */
type Held = 'requests' | 'uploads' | 'streams' | 'completions';

type Holder = 'key' | 'team' | 'address';

export interface OpenLimits {
  perKey: Record<Held, number>;
  /** All keys of the team together. */
  perTeam: Record<Held, number>;
  /** An address may be a proxy with many keys. A whole IPv6 /64 counts as one address, since one client controls all of it. */
  perAddress: Record<Held, number> & { connections: number };
}

declare module 'fastify' {
  interface FastifyReply {
    /** Counts this request as one of these until the response ends. Throws `too_many_requests` beyond a limit. */
    hold(kind: Held): void;
  }
  interface FastifyContextConfig {
    /** Not limited by address: the probes of an orchestrator. */
    unlimited?: boolean;
  }
}

/** Seconds until the client may retry: one of its open requests must end first. */
const retryAfter = { 'retry-after': '5' };

/**
 * Limits what one key, one team and one address may have open, so that no client takes all memory, sockets and turns. Requests are
 * counted here by address and in `auth` by key; routes count uploads and completions, and `stream` counts streams.
 */
export const openLimits = fp<{ limits: OpenLimits }>(async (app, { limits }) => {
  const open = new Map<string, number>();
  /** The counts that each response adds to. */
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
    // The response is already closed, so its count would never be released.
    if (this.raw.destroyed) return;
    const { caller, operator, session, ip } = this.request;
    // Otherwise a client whose requests all wait for internal requests would block itself.
    if (kind === 'requests' && isPart(this.request.raw)) return;
    const by = caller ?? operator ?? session;
    const key = by && ('keyId' in by && by.keyId ? by.keyId : by.personId);
    if (key) take(this, kind, 'key', key);
    if (caller) take(this, kind, 'team', caller.teamId);
    // The request was counted by address on arrival.
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

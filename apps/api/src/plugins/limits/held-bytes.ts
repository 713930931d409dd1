import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyReply } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../../api-error.ts';
import { isPart } from './is-part.ts';

/** Maximum bytes of results and responses that are in memory until their clients have read them. */
export interface HeldBytes {
  /** Bytes of a team, or of an address without a team. More than the largest result, 90 MB of embeddings. */
  perTeam: number;
  /** Bytes of all together. */
  all: number;
  /** Bytes that each team may hold even if all together hold too much, so that some teams' slow clients are not the fault of others. */
  always: number;
}

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Counts bytes of the response, or of what it is made from, until it has been read or its client disconnects. Throws
     * `too_many_requests` for a team with too many, `service_unavailable` if all together have too many.
     */
    holdBytes(bytes: number): void;
  }
}

/** Smaller responses are not counted: they are limited as open requests. */
const smallBytes = 16 * 1024;
const retryAfter = { 'retry-after': '5' };

/** Limits what clients that read slowly, or not at all, keep in the memory of this process. */
export const heldBytes = fp<{ limits: HeldBytes }>(async (app, { limits }) => {
  const held = new Map<string, number>();
  let all = 0;
  const replies = new WeakMap<FastifyReply, { holder: string; bytes: number }>();

  function add(holder: string, bytes: number): void {
    all += bytes;
    const count = (held.get(holder) ?? 0) + bytes;
    if (count > 0) held.set(holder, count);
    else held.delete(holder);
  }

  app.decorateReply('holdBytes', function (this: FastifyReply, bytes) {
    // An internal request is a part of another one's response.
    if (this.raw.destroyed || isPart(this.request.raw)) return;
    const { caller, ip } = this.request;
    const holder = caller?.teamId ?? normalizeIP(ip);
    const own = (held.get(holder) ?? 0) + bytes;
    if (own > limits.perTeam) {
      const message = `Responses of this team that have not been read yet have ${own} bytes, and ${limits.perTeam} is the limit: read them, or ask for less at a time.`;
      throw new ApiError('too_many_requests', message, { headers: retryAfter });
    }
    if (own > limits.always && all + bytes > limits.all) {
      const message = 'Responses that have not been read yet occupy the memory for them; try again.';
      throw new ApiError('service_unavailable', message, { headers: retryAfter });
    }
    add(holder, bytes);
    const known = replies.get(this);
    if (known) known.bytes += bytes;
    else {
      const count = { holder, bytes };
      replies.set(this, count);
      this.raw.once('close', () => add(holder, -count.bytes));
    }
  });

  app.addHook('onSend', async (_request, reply, payload) => {
    if (typeof payload === 'string' && payload.length > smallBytes) reply.holdBytes(payload.length);
    return payload;
  });
});

import { createHash } from 'node:crypto';
import fp from 'fastify-plugin';
import fresh from 'fresh';

/**
 * Every answer of data to a GET carries an ETag, and a poller that sends it back in If-None-Match is answered 304 without a
 * body while nothing has changed. Downloads set their own.
 */
export const entityTags = fp(async (app) => {
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string') return payload;
    if (reply.hasHeader('etag') || reply.getHeader('cache-control') === 'no-store') return payload;
    // Weak: what says the same may be written in another order by the next version.
    const etag = `W/"${createHash('sha256').update(payload).digest('base64url').slice(0, 22)}"`;
    reply.header('etag', etag);
    // A team's answer of this moment: a cache asks again.
    reply.header('cache-control', 'private, no-cache');
    if (!hasCurrent(request.headers['if-none-match'], etag)) return payload;
    reply.code(304).removeHeader('content-type').removeHeader('content-length');
    return '';
  });
});

/**
 * Whether a client that sends this If-None-Match has the representation with the tag. `Cache-Control: no-cache` is not passed on:
 * it would turn a poller's 304 into a whole answer.
 */
export function hasCurrent(ifNoneMatch: string | undefined, etag: string): boolean {
  return fresh({ 'if-none-match': ifNoneMatch }, { etag });
}

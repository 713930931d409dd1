import { createHash } from 'node:crypto';
import fp from 'fastify-plugin';
import fresh from 'fresh';

/**
 * Adds an ETag to every response to a GET. A client that polls with If-None-Match gets 304 without a body while nothing has changed.
 * Downloads set their own ETag.
 */
export const entityTags = fp(async (app) => {
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string') return payload;
    if (reply.hasHeader('etag') || reply.getHeader('cache-control') === 'no-store') return payload;
    // Weak: another release may write the same data in another order.
    const etag = `W/"${createHash('sha256').update(payload).digest('base64url').slice(0, 22)}"`;
    reply.header('etag', etag);
    // The response is private and current only now, so caches must revalidate.
    reply.header('cache-control', 'private, no-cache');
    if (!hasCurrent(request.headers['if-none-match'], etag)) return payload;
    reply.code(304).removeHeader('content-type').removeHeader('content-length');
    return '';
  });
});

/**
 * Checks whether a client that sends this If-None-Match has the current representation. Ignores `Cache-Control: no-cache`, which would
 * turn the 304 of a polling client into a full response.
 */
export function hasCurrent(ifNoneMatch: string | undefined, etag: string): boolean {
  return fresh({ 'if-none-match': ifNoneMatch }, { etag });
}

import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';

const safe = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Header of clients other than browsers. A page of another site cannot send it without a CORS preflight. */
export const sameOriginHeader = 'x-graft-csrf';

/**
 * Checks that a request that changes something comes from a page of this origin, since browsers add cookies to requests of any page.
 * Browsers prove it by Sec-Fetch-Site or Origin, other clients by the header `X-Graft-CSRF` with any value. Throws `cross_site_request`.
 */
export function checkSameOrigin(
  { method, headers, protocol, host }: FastifyRequest,
  publicUrl: URL | null,
): void {
  if (safe.has(method)) return;
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  const own = publicUrl?.origin ?? `${protocol}://${host}`;
  const isForeign =
    (site !== undefined && site !== 'same-origin') || (origin !== undefined && origin !== own);
  const isOwn = site !== undefined || origin !== undefined || headers[sameOriginHeader] !== undefined;
  if (isOwn && !isForeign) return;
  throw new ApiError(
    'cross_site_request',
    'A session may change data only from pages of this server. Programs send the header "X-Graft-CSRF: 1", or a key instead of a cookie.',
  );
}

import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';

const safe = new Set(['GET', 'HEAD', 'OPTIONS']);

/** The header that a program sends which is no browser. A page of another site cannot without being asked for CORS. */
export const sameOriginHeader = 'x-graft-csrf';

/**
 * A browser adds its cookies to whatever a page asks for: what changes something must come from a page of ours. Browsers say
 * so by Sec-Fetch-Site or Origin, others by the header `X-Graft-CSRF`, with any value. Throws `cross_site_request`.
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
    'A session changes things only from pages of this server. A program sends the header "X-Graft-CSRF: 1", or a key instead of a cookie.',
  );
}

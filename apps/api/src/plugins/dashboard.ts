import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

/**
 * First parts of the dashboard's paths, `''` for its root. Each answers with the one page, whatever follows; all other paths stay
 * the API's, so that an unknown one is a 404 in its form. apps/web/src/pages.tsx says what they show.
 */
export const dashboardPaths = [
  '',
  'jobs',
  'compare',
  'files',
  'adapters',
  'playground',
  'team',
  'operator',
  'sign-in',
  'invitations',
  '_components',
];

/** Scripts and styles come from this server alone and stand in no page; charts and downloads are made of blobs. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "font-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * The dashboard, from the folder that `npm run dashboard` builds it into. Files under /assets have a hash in their names and are
 * kept for ever; the page is asked for anew each time. Without a build its paths say how to make one, and the API works on.
 */
export const dashboard = fp<{ folder: string }>(async (app, { folder }) => {
  const page = await readFile(join(folder, 'index.html'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    app.log.warn('the dashboard is not built: npm run dashboard');
    return null;
  });

  for (const path of dashboardPaths.flatMap((name) => (name ? [`/${name}`, `/${name}/*`] : ['/']))) {
    app.get(path, { schema: { hide: true } }, async (_request, reply) => {
      if (page === null) {
        throw new ApiError(
          'dashboard_not_built',
          'The dashboard is not built. Build it with `npm run dashboard` and start the API again; the API itself is at /v1.',
        );
      }
      return await reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', contentSecurityPolicy)
        .send(page);
    });
  }
  if (page === null) return;
  await app.register(fastifyStatic, {
    root: folder,
    // A route for each file: no other path is looked for on the disk.
    wildcard: false,
    index: false,
    decorateReply: false,
    globIgnore: ['index.html*', 'state', '**/*.{br,gz}'],
    preCompressed: true,
    cacheControl: false,
    schemaHide: true,
    setHeaders: (reply, path) => {
      const isHashed = path.startsWith(join(folder, 'assets'));
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

/**
 * First segments of the dashboard's paths, `''` for its root. Every path below them returns the same page. All other paths belong to the
 * API, so that an unknown one is a 404 in the API's format. apps/web/src/pages.tsx lists the pages.
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

/** Allows scripts and styles only from this server and never inline; charts and downloads use blobs. */
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
 * Serves the dashboard from the folder into which `npm run dashboard` builds it. Files under /assets have a hash in their names and are
 * cached forever; the page is revalidated each time. Without a build its paths explain how to build it, and the API still works.
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
    // One route per file, so that no other path is looked up on disk.
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

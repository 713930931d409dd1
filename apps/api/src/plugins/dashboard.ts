import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
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

/** Folders into which `npm run dashboard` builds. */
export interface BuiltFolders {
  dashboardFolder: string;
  /** The guide: docs/ as a site. */
  guideFolder: string;
}

const hint = 'Build it with `npm run dashboard` and start the API again';

/**
 * Serves the dashboard, and the guide at /docs/guide. Files in a folder named assets have a hash in their names and are cached forever;
 * pages are revalidated each time. Without a build their paths explain how to build them, and the API still works.
 */
export const dashboard = fp<BuiltFolders>(async (app, { dashboardFolder, guideFolder }) => {
  const page = await readFile(join(dashboardFolder, 'index.html'), 'utf8').catch(missing);
  for (const path of dashboardPaths.flatMap((name) => (name ? [`/${name}`, `/${name}/*`] : ['/']))) {
    app.get(path, { schema: { hide: true } }, async (_request, reply) => {
      if (page === null) {
        const message = `The dashboard is not built. ${hint}; the API itself is at /v1.`;
        throw new ApiError('dashboard_not_built', message);
      }
      return await reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', contentSecurityPolicy)
        .send(page);
    });
  }
  if (page !== null) await serveFolder(app, dashboardFolder, '/');

  const hasGuide = (await stat(join(guideFolder, 'index.html')).catch(missing)) !== null;
  // Also keeps unknown paths from the page at /docs, whose files are at /docs/*.
  for (const path of hasGuide ? ['/docs/guide/*'] : ['/docs/guide', '/docs/guide/*']) {
    app.get(path, { schema: { hide: true } }, async ({ url }) => {
      if (hasGuide) throw new ApiError('unknown_url', `The guide has no page ${url}. Start at /docs/guide/.`);
      throw new ApiError('dashboard_not_built', `The guide is not built. ${hint}.`);
    });
  }
  if (hasGuide) await serveFolder(app, guideFolder, '/docs/guide/');

  function missing(error: NodeJS.ErrnoException): null {
    if (error.code !== 'ENOENT') throw error;
    app.log.warn('dashboard or guide are not built: npm run dashboard');
    return null;
  }
});

async function serveFolder(app: FastifyInstance, folder: string, prefix: string): Promise<void> {
  const isDashboard = prefix === '/';
  await app.register(fastifyStatic, {
    root: folder,
    prefix,
    // One route per file, so that no other path is looked up on disk.
    wildcard: false,
    index: isDashboard ? false : ['index.html'],
    redirect: !isDashboard,
    decorateReply: false,
    globIgnore: [...(isDashboard ? ['index.html*'] : []), 'state', '**/*.{br,gz}'],
    preCompressed: true,
    cacheControl: false,
    schemaHide: true,
    setHeaders: (reply, path) => {
      const isHashed = path.startsWith(join(folder, 'assets'));
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      if (/\.html(\.br|\.gz)?$/.test(path)) reply.header('content-security-policy', contentSecurityPolicy);
    },
  });
}

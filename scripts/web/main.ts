/**
 * `npm run dashboard` builds the pages of the dashboard and the guide, which is docs/ as a site; with `-- --dev` it serves the dashboard
 * from source, with the API at GRAFT_BASE_URL or, without it, at http://127.0.0.1:8000.
 */
import { join } from 'node:path';
import { createServer } from 'vite';
import { buildDashboard } from './build-dashboard.ts';
import { buildGuide } from './build-guide.ts';

if (process.argv.includes('--dev')) {
  const server = await createServer({
    configFile: join(import.meta.dirname, '../../apps/web/vite.config.ts'),
  });
  await server.listen();
  server.printUrls();
} else {
  if (await buildDashboard()) console.log('built the dashboard');
  if (await buildGuide()) console.log('built the guide');
}

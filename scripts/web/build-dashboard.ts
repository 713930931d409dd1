import { join } from 'node:path';
import { build } from 'vite';
import { buildFolder, root } from './built-folder.ts';

const app = join(root, 'apps/web');

const sources = [
  'apps/web/src',
  'apps/web/public',
  'packages/client/src',
  'packages/wire/src',
  'examples/bike-shop',
  'scripts/web',
  'apps/web/index.html',
  'apps/web/vite.config.ts',
  'package-lock.json',
];

/** Builds the pages of the dashboard into apps/web/dist, unless they are up to date. Returns whether it built. */
export async function buildDashboard(): Promise<boolean> {
  return await buildFolder(join(app, 'dist'), sources, async (folder) => {
    await build({
      configFile: join(app, 'vite.config.ts'),
      logLevel: 'warn',
      build: { outDir: folder, emptyOutDir: true },
    });
  });
}

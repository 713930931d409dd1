import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build } from 'vite';

const root = join(import.meta.dirname, '..', '..');
const app = join(root, 'apps/web');
const dist = join(app, 'dist');
const stamp = join(dist, 'state');

/** The sources of the pages. */
const sources = [
  'apps/web/src',
  'apps/web/public',
  'packages/client/src',
  'packages/wire/src',
  'examples/bike-shop',
  'scripts/web',
];
const files = ['apps/web/index.html', 'apps/web/vite.config.ts', 'package-lock.json'];

/** Woff2 is compressed already. */
const compressible = new Set(['.js', '.css', '.svg', '.html']);

/**
 * Builds the pages into apps/web/dist, each file beside its compressed forms, unless they were built of these sources. Answers
 * whether it built. What was there is replaced at once and whole, so that an API that starts meanwhile finds either.
 */
export async function buildDashboard(): Promise<boolean> {
  const state = hashOfSources();
  if (readIfThere(stamp) === state) return false;
  const fresh = `${dist}.${process.pid}`;
  try {
    await build({
      configFile: join(app, 'vite.config.ts'),
      logLevel: 'warn',
      build: { outDir: fresh, emptyOutDir: true },
    });
    await compressAll(fresh);
    writeFileSync(join(fresh, 'state'), state);
    const former = `${fresh}.former`;
    mkdirSync(dist, { recursive: true });
    renameSync(dist, former);
    renameSync(fresh, dist);
    rmSync(former, { recursive: true });
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return true;
}

function hashOfSources(): string {
  const hash = createHash('sha256');
  const within = sources.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  for (const file of [...within.sort(), ...files.map((each) => join(root, each))]) {
    hash.update(file.slice(root.length)).update(readFileSync(file));
  }
  return hash.digest('hex');
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

async function compressAll(folder: string): Promise<void> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  await Promise.all(
    entries
      .filter((entry) => entry.isFile() && compressible.has(extname(entry.name)))
      .map(async (entry) => {
        const file = join(entry.parentPath, entry.name);
        const content = readFileSync(file);
        writeFileSync(`${file}.br`, await promisify(brotliCompress)(content, quality));
        writeFileSync(`${file}.gz`, await promisify(gzip)(content, { level: 9 }));
      }),
  );
}

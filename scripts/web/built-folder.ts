import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

export const root = join(import.meta.dirname, '..', '..');

/** Woff2 and images are compressed already. */
const compressible = new Set(['.js', '.css', '.svg', '.html', '.json']);

/**
 * Builds files for the API to serve into the folder `dist`, each beside its compressed forms, unless `dist` was built from the same
 * sources. Returns whether it built. `build` writes to the folder it receives, which then replaces `dist` as a whole, so that an API that
 * starts meanwhile finds one of the two complete.
 *
 * `sources` are folders and files, relative to the repository.
 */
export async function buildFolder(
  dist: string,
  sources: string[],
  build: (folder: string) => Promise<void>,
): Promise<boolean> {
  const stamp = join(dist, 'state');
  const state = hashOf(sources);
  if (readIfThere(stamp) === state) return false;
  const fresh = `${dist}.${process.pid}`;
  try {
    await build(fresh);
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

function hashOf(sources: string[]): string {
  const hash = createHash('sha256');
  for (const file of sources.flatMap((source) => filesOf(join(root, source)).sort())) {
    hash.update(file.slice(root.length)).update(readFileSync(file));
  }
  return hash.digest('hex');
}

/** The files below a folder, or the file itself. */
function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

async function compressAll(folder: string): Promise<void> {
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  await Promise.all(
    filesOf(folder)
      .filter((file) => compressible.has(extname(file)))
      .map(async (file) => {
        const content = readFileSync(file);
        writeFileSync(`${file}.br`, await promisify(brotliCompress)(content, quality));
        writeFileSync(`${file}.gz`, await promisify(gzip)(content, { level: 9 }));
      }),
  );
}

// Prepares the service once after `npm ci`, which runs no install scripts: generates the Prisma client, and links the libraries of the
// Postgres binaries.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { locatePostgresBinaries } from '@graft/service/postgres-binaries';

const root = fileURLToPath(new URL('../..', import.meta.url));
const generated = path.join(root, 'packages/service/src/generated');

/**
 * Generates the Prisma client into packages/service/src/generated, unless it is there for this schema and version of
 * Prisma (about 2 s, without a download). Returns whether it generated one.
 */
async function ensurePrismaClient(): Promise<boolean> {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve('prisma/package.json');
  const hash = createHash('sha256');
  for (const file of ['prisma/schema.prisma', 'prisma.config.ts'])
    hash.update(await readFile(path.join(root, file)));
  const state = hash.update(await readFile(manifest)).digest('hex');
  const stamp = path.join(generated, 'state');
  if ((await readFile(stamp, 'utf8').catch(() => null)) === state) return false;
  await promisify(execFile)(
    process.execPath,
    [path.join(path.dirname(manifest), 'build/index.js'), 'generate'],
    { cwd: root },
  );
  await writeFile(stamp, state);
  return true;
}

if (await ensurePrismaClient()) console.log('generated the Prisma client');
if (!process.env.DATABASE_URL) {
  await locatePostgresBinaries().catch((error: Error) =>
    console.log(`no embedded Postgres: ${error.message}`),
  );
}

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';

const ownFolder = resolve(import.meta.dirname, '../../..');

/** Settings that name a file or folder. */
const paths = ['GRAFT_DATA_DIR', 'GRAFT_CACHE_DIR', 'GRAFT_BASE_MODELS'];

/**
 * Puts the settings of Graft's .env (or the file that GRAFT_ENV_FILE names; empty: none) into the environment, where what
 * is set already wins. A relative path starts at the file, so that the command means the same in every folder.
 * Throws when the file cannot be read, or is named and not there.
 */
export function loadSettings(env: NodeJS.ProcessEnv = process.env, root = ownFolder): void {
  const named = env.GRAFT_ENV_FILE;
  const file = resolve(named ?? join(root, '.env'));
  if (named === '' || (named === undefined && !existsSync(file))) return;
  const settings = parseEnv(readFileSync(file, 'utf8')) as Record<string, string>;
  for (const [name, value] of Object.entries(settings)) {
    if (env[name] !== undefined) continue;
    env[name] = paths.includes(name) && value !== '' ? resolve(dirname(file), value) : value;
  }
}

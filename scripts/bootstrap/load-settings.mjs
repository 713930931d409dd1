// The settings of the bootstrap in .env. Plain JavaScript, as nothing is installed yet; the rest of Graft reads the file
// with apps/cli/src/load-settings.ts.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';

/** What the bootstrap reads. Nothing else of .env is passed on: tests and demo shall not use the service's database. */
const names = ['GRAFT_CACHE_DIR', 'GRAFT_TENSORFLOW', 'GRAFT_SKIP_MODEL', 'CXX'];

/**
 * Takes from .env (or the file that GRAFT_ENV_FILE names; empty: none) what is not set. A relative folder starts there.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
export function loadSettings(root, env = process.env) {
  const file = env.GRAFT_ENV_FILE ?? path.join(root, '.env');
  if (file === '' || !existsSync(file)) return;
  const settings = parseEnv(readFileSync(file, 'utf8'));
  for (const name of names) {
    const value = settings[name];
    if (!value || env[name] !== undefined) continue;
    env[name] = name === 'GRAFT_CACHE_DIR' ? path.resolve(path.dirname(file), value) : value;
  }
}

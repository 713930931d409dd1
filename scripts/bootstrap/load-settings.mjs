// Plain JavaScript that imports nothing but Node: the bootstrap reads .env before any package is installed.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';

const ownFolder = path.resolve(import.meta.dirname, '../..');

/** Settings that name a file or folder. */
const paths = ['GRAFT_DATA_DIR', 'GRAFT_CACHE_DIR', 'GRAFT_BASE_MODELS'];

/** The settings that the bootstrap itself reads. Those of the service are not passed on: tests and demo must not use its database. */
export const bootstrapSettings = ['GRAFT_CACHE_DIR', 'GRAFT_TENSORFLOW', 'GRAFT_SKIP_MODEL', 'CXX'];

/**
 * Puts the settings of Graft's .env (or of the file that GRAFT_ENV_FILE names; empty: none) into the environment. What is
 * set already wins. A relative path starts at the file, so that a command means the same in every folder.
 * Throws when the file cannot be read, or is named and not there.
 * @param {NodeJS.ProcessEnv} env
 * @param {string} root the folder of .env
 * @param {string[]} [only] takes these settings alone
 */
export function loadSettings(env = process.env, root = ownFolder, only) {
  const named = env.GRAFT_ENV_FILE;
  const file = path.resolve(named ?? path.join(root, '.env'));
  if (named === '' || (named === undefined && !existsSync(file))) return;
  for (const [name, value] of Object.entries(parseEnv(readFileSync(file, 'utf8')))) {
    if (env[name] !== undefined || value === undefined || (only && !only.includes(name))) continue;
    env[name] = paths.includes(name) && value !== '' ? path.resolve(path.dirname(file), value) : value;
  }
}

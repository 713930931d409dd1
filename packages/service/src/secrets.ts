import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ServiceEnv } from './env.ts';
import { dataFolder } from './storage/data-folder.ts';

export interface Secrets {
  /** Key of the HMACs of API key secrets. */
  pepper: string;
  /** What the API shows to workers. */
  internalToken: string;
}

/** From the environment, else from 0600 files of the data folder, made at the first start. */
export async function loadSecrets(env: ServiceEnv): Promise<Secrets> {
  const folder = dataFolder(env.dataDir).secrets;
  return {
    pepper: env.pepper ?? (await readOrMake(folder, 'pepper')),
    internalToken: env.internalToken ?? (await readOrMake(folder, 'internal-token')),
  };
}

/** Of processes that start together, one makes the secret and all read the same. */
async function readOrMake(folder: string, name: string): Promise<string> {
  const file = path.join(folder, name);
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flush: true });
  try {
    // link, unlike rename, never replaces what another process has put there first.
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return (await readFile(file, 'utf8')).trim();
}

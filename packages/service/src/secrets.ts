import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ServiceEnv } from './env.ts';
import { dataFolder } from './storage/data-folder.ts';
import { readOrMake } from './storage/write-once.ts';

export interface Secrets {
  /** Key of the HMACs of API key secrets. */
  pepper: string;
  /** By which a worker proves that its row is a worker's. */
  internalToken: string;
  /** By which API and worker know each other and hide what they say; null: the token alone, in the clear. */
  internalTls: InternalTls | null;
}

/** PEM texts. A worker serves with its certificate, the API shows its own, and each must be signed by the authority. */
export interface InternalTls {
  cert: string;
  key: string;
  ca: string;
}

/**
 * From the environment, else from 0600 files of the data folder, made at the first start. A worker gets those of the channel to the
 * API alone: reading another one throws (docs/decisions/0025-roles-and-secrets.md).
 */
export async function loadSecrets(
  env: ServiceEnv,
  role: 'api' | 'worker' | 'admin' = 'api',
): Promise<Secrets> {
  const folder = dataFolder(env.dataDir).secrets;
  const secret = () => randomBytes(32).toString('hex');
  const channel = {
    internalToken: env.internalToken ?? (await readOrMake(path.join(folder, 'internal-token'), secret)),
    internalTls: env.internalTls ? await readTls(env.internalTls) : null,
  };
  if (role === 'worker') return Object.defineProperty(channel, 'pepper', { get: refusePepper }) as Secrets;
  return { pepper: env.pepper ?? (await readOrMake(path.join(folder, 'pepper'), secret)), ...channel };
}

function refusePepper(): never {
  throw new Error('A worker does not hold the pepper.');
}

async function readTls({ cert, key, ca }: NonNullable<ServiceEnv['internalTls']>): Promise<InternalTls> {
  const read = async (variable: string, file: string) =>
    await readFile(file, 'utf8').catch((error: Error) => {
      throw new Error(`${variable} cannot be read: ${error.message}`);
    });
  return {
    cert: await read('GRAFT_INTERNAL_TLS_CERT', cert),
    key: await read('GRAFT_INTERNAL_TLS_KEY', key),
    ca: await read('GRAFT_INTERNAL_TLS_CA', ca),
  };
}

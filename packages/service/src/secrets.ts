import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ServiceEnv } from './env.ts';
import { parseRing, SecretRing, type SecretVersion } from './secret-ring.ts';
import { dataFolder } from './storage/data-folder.ts';
import { readOrMake, readText } from './storage/write-once.ts';

export interface Secrets {
  /** Keys of the HMACs of API keys, sessions and invitations. */
  pepper: SecretRing;
  /** Keys of what is stored encrypted. Default: the pepper itself. */
  sealing: SecretRing;
  /** What this process signs requests to workers with, from its start to its end. */
  signing: string;
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
  if (role === 'worker') return withoutKeys(channel);
  const files = secretFiles(env.dataDir);
  const pepper = env.pepper
    ? new SecretRing('pepper', ringIn(env.pepper, 'GRAFT_PEPPER'))
    : await fileRing('pepper', files.pepper, secret);
  const sealing = env.sealingKey
    ? new SecretRing('sealing', ringIn(env.sealingKey, 'GRAFT_SEALING_KEY'))
    : (await readText(files.sealing)) === null
      ? pepper
      : await fileRing('sealing', files.sealing, secret);
  return { pepper, sealing, signing: pepper.current.secret, ...channel };
}

function withoutKeys(channel: Pick<Secrets, 'internalToken' | 'internalTls'>): Secrets {
  for (const name of ['pepper', 'sealing', 'signing'])
    Object.defineProperty(channel, name, {
      get: () => {
        throw new Error(`A worker does not hold the secret ${name}.`);
      },
    });
  return channel as Secrets;
}

/** Where the rings lie that the environment does not set. */
export function secretFiles(dataDir: string): Record<SecretRing['name'], string> {
  const folder = dataFolder(dataDir).secrets;
  return { pepper: path.join(folder, 'pepper'), sealing: path.join(folder, 'sealing-key') };
}

async function fileRing(name: SecretRing['name'], file: string, make: () => string): Promise<SecretRing> {
  const versions = ringIn(await readOrMake(file, make), file);
  // A file that is gone for a while, with its disk, must not be made anew.
  return new SecretRing(name, versions, async () => ringIn((await readText(file)) ?? '', file));
}

function ringIn(text: string, place: string): SecretVersion[] {
  const ring = parseRing(text);
  if (ring) return ring;
  throw new Error(`${place} holds neither a secret of 16 characters or more nor versions of one`);
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

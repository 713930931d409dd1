import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../data-folder/data-folder.ts';
import { readOrMake, readText } from '../data-folder/write-once.ts';
import { parseRing, SecretRing, type SecretVersion } from './secret-ring.ts';

export interface Secrets {
  /** Keys of the HMACs of API keys, sessions and invitations. */
  pepper: SecretRing;
  /** Keys of what is stored encrypted. Default: the pepper itself. */
  sealing: SecretRing;
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

/** Settings of the environment that secrets are read by. */
export interface SecretSettings {
  /** Absolute. */
  dataDir: string;
  /** A ring of `secret-ring.ts`, current version first. */
  pepper: string | undefined;
  /** The same. Absent: secrets are sealed by the pepper. */
  sealingKey: string | undefined;
  internalToken: string | undefined;
  /** PEM files of the channel between API and workers; absent: it is not encrypted. */
  internalTls: { cert: string; key: string; ca: string } | undefined;
}

/**
 * From the environment, else from 0600 files of the data folder, made at the first start. A worker gets those of the channel to the
 * API alone: reading another one throws (docs/decisions/0025-roles-and-secrets.md).
 */
export async function loadSecrets(
  env: SecretSettings,
  role: 'api' | 'worker' | 'admin' = 'api',
): Promise<Secrets> {
  const folder = dataFolder(env.dataDir).secrets;
  const secret = () => randomBytes(32).toString('hex');
  const channel = {
    internalToken: env.internalToken ?? (await readOrMake(path.join(folder, 'internal-token'), secret)),
    internalTls: env.internalTls ? await readTls(env.internalTls) : null,
  };
  if (role === 'worker') {
    return Object.defineProperties(channel, {
      pepper: { get: () => refuse('pepper') },
      sealing: { get: () => refuse('sealing key') },
    }) as Secrets;
  }
  const pepper = env.pepper
    ? new SecretRing('pepper', ringIn(env.pepper, 'GRAFT_PEPPER'))
    : await fileRing('pepper', folder, secret);
  const hasFile = (await readRing(folder, ringFiles.sealing)).length > 0;
  const sealing = env.sealingKey
    ? new SecretRing('sealing', ringIn(env.sealingKey, 'GRAFT_SEALING_KEY'))
    : hasFile
      ? await fileRing('sealing', folder, secret)
      : pepper;
  return { pepper, sealing, ...channel };
}

function refuse(name: string): never {
  throw new Error(`A worker does not hold the ${name}.`);
}

/** Names of the files of a ring that the environment does not set: `pepper` is version 1, `pepper.2` the second. */
export const ringFiles = { pepper: 'pepper', sealing: 'sealing-key' } as const;

/**
 * The ring whose versions lie in files of this folder, the newest current. Each is a file, made once and never changed, so that
 * processes that rotate together make the same one. Makes version 1 where there is none.
 */
async function fileRing(name: SecretRing['name'], folder: string, make: () => string): Promise<SecretRing> {
  const first = async () => {
    await readOrMake(path.join(folder, ringFiles[name]), make);
    return await readRing(folder, ringFiles[name]);
  };
  const present = await readRing(folder, ringFiles[name]);
  const versions = present.length > 0 ? present : await first();
  // A folder that is empty for a while, with its disk away, says nothing.
  return new SecretRing(name, versions, async () => {
    const read = await readRing(folder, ringFiles[name]);
    return read.length > 0 ? read : null;
  });
}

async function readRing(folder: string, base: string): Promise<SecretVersion[]> {
  const versions: SecretVersion[] = [];
  for (const file of await readdir(folder).catch(() => [])) {
    const version = versionOf(file, base);
    const secret = version === null ? null : await readText(path.join(folder, file));
    if (version === null || secret === null) continue;
    if (secret.length < 16)
      throw new Error(`${path.join(folder, file)} holds no secret of 16 characters or more`);
    versions.push({ version, secret });
  }
  return versions.sort((a, b) => b.version - a.version);
}

function versionOf(file: string, base: string): number | null {
  if (file === base) return 1;
  // Drafts of readOrMake have longer names.
  const digits = file.startsWith(`${base}.`) ? file.slice(base.length + 1) : '';
  return /^[1-9][0-9]{0,5}$/.test(digits) ? Number(digits) : null;
}

function ringIn(text: string, place: string): SecretVersion[] {
  const ring = parseRing(text);
  if (ring) return ring;
  throw new Error(`${place} holds neither a secret of 16 characters or more nor versions of one`);
}

async function readTls({ cert, key, ca }: NonNullable<SecretSettings['internalTls']>): Promise<InternalTls> {
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

import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../data-folder/data-folder.ts';
import { readOrMake, readText } from '../data-folder/write-once.ts';
import { parseRing, SecretRing, type SecretVersion } from './secret-ring.ts';

export interface Secrets {
  /** Keys for the HMACs of API keys, sessions and invitations. */
  pepper: SecretRing;
  /** Keys for data that is stored encrypted. Default: the pepper. */
  sealing: SecretRing;
  /** Secret with which a worker proves that it wrote its row. */
  internalToken: string;
  /** Certificates with which API and worker authenticate each other and encrypt their channel; null: only tokens, without encryption. */
  internalTls: InternalTls | null;
}

/** PEM texts. Workers use their certificate as servers, the API as client; each must be signed by the authority `ca`. */
export interface InternalTls {
  cert: string;
  key: string;
  ca: string;
}

export interface SecretSettings {
  /** Absolute. */
  dataDir: string;
  /** A ring of `secret-ring.ts`, current version first. */
  pepper: string | undefined;
  /** A ring, too. Undefined: secrets are sealed with the pepper. */
  sealingKey: string | undefined;
  internalToken: string | undefined;
  /** PEM files for the channel between API and workers; undefined: the channel is not encrypted. */
  internalTls: { cert: string; key: string; ca: string } | undefined;
}

/**
 * Loads the secrets from the environment, or else from files (0600) of the data folder, which are created at the first start. A worker only
 * gets those of its channel to the API: reading another one throws (docs/decisions/0025-roles-and-secrets.md).
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

/** Names of the files of a ring that the environment does not set: `pepper` is version 1, `pepper.2` is version 2. */
export const ringFiles = { pepper: 'pepper', sealing: 'sealing-key' } as const;

/**
 * Opens the ring whose versions are files of this folder; the newest is current. Each version is a file that is created once and never
 * changes, so that processes that rotate concurrently create the same version. Creates version 1 if there is none.
 */
async function fileRing(name: SecretRing['name'], folder: string, make: () => string): Promise<SecretRing> {
  const first = async () => {
    await readOrMake(path.join(folder, ringFiles[name]), make);
    return await readRing(folder, ringFiles[name]);
  };
  const present = await readRing(folder, ringFiles[name]);
  const versions = present.length > 0 ? present : await first();
  // A folder that is temporarily empty, because its disk is not mounted, does not change the ring.
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

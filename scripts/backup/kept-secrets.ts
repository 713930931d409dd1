/** The secrets of a data folder in a backup: one file, encrypted by AES-256-GCM under a key that scrypt makes of a passphrase. */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { dataFolder } from '@graft/service/data-folder';
import { flush } from './flush.ts';

export const secretsName = 'secrets.enc';

/** Contents of the file, as JSON; bytes in base64. */
interface Encrypted {
  format: 1;
  kdf: 'scrypt';
  /** 128 MiB and about half a second a guess. */
  cost: number;
  salt: string;
  iv: string;
  tag: string;
  data: string;
}

const cost = 2 ** 17;
const aad = Buffer.from('graft backup secrets 1');

export async function encryptSecrets(dataDir: string, backup: string, passphrase: string): Promise<void> {
  const folder = dataFolder(dataDir).secrets;
  const files: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    files[file.slice(folder.length + 1)] = (await readFile(file)).toString('base64');
  }
  const [salt, iv] = [randomBytes(16), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', await keyOf(passphrase, salt, cost), iv).setAAD(aad);
  const data = Buffer.concat([cipher.update(JSON.stringify(files), 'utf8'), cipher.final()]);
  const encrypted: Encrypted = {
    format: 1,
    kdf: 'scrypt',
    cost,
    salt: salt.toString('base64'),
    iv: iv.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    data: data.toString('base64'),
  };
  await writeFile(join(backup, secretsName), `${JSON.stringify(encrypted)}\n`, { mode: 0o600, flag: 'wx' });
  await flush(join(backup, secretsName));
}

/** The decrypted files, by their paths in the folder of secrets. Throws for another passphrase, and for a file that was changed. */
export async function decryptSecrets(backup: string, passphrase: string): Promise<Record<string, Buffer>> {
  const file = join(backup, secretsName);
  const encrypted = JSON.parse(await readFile(file, 'utf8')) as Encrypted;
  // More would be another program's, or take all memory.
  if (encrypted.format !== 1 || !(encrypted.cost <= 2 ** 20))
    throw new Error(`${file} was made by a newer Graft.`);
  const bytes = (name: 'salt' | 'iv' | 'tag' | 'data') => Buffer.from(encrypted[name], 'base64');
  const key = await keyOf(passphrase, bytes('salt'), encrypted.cost);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes('iv'), { authTagLength: 16 });
    decipher.setAAD(aad).setAuthTag(bytes('tag'));
    const text = decipher.update(bytes('data'), undefined, 'utf8') + decipher.final('utf8');
    const files = JSON.parse(text) as Record<string, string>;
    return Object.fromEntries(
      Object.entries(files).map(([name, content]) => [name, Buffer.from(content, 'base64')]),
    );
  } catch {
    throw new Error(`${file} does not open: the passphrase is another, or the file was changed.`);
  }
}

export async function writeSecrets(dataDir: string, files: Record<string, Buffer>): Promise<void> {
  const folder = dataFolder(dataDir).secrets;
  for (const [name, content] of Object.entries(files)) {
    const file = normalize(join(folder, name));
    if (!file.startsWith(`${folder}/`))
      throw new Error(`${secretsName} names a file outside the folder of secrets.`);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, content, { mode: 0o600, flag: 'wx', flush: true });
  }
}

async function keyOf(passphrase: string, salt: Buffer, n: number): Promise<Buffer> {
  const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);
  return await derive(passphrase, salt, 32, { N: n, r: 8, p: 1, maxmem: 256 * n * 8 });
}

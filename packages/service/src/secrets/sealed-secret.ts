/**
 * Secrets that must be readable again, unlike those of API keys. Postgres holds them encrypted with AES-256-GCM. HKDF derives a key for
 * each purpose from the sealing key, and the ciphertext is bound to its row, so that it cannot be moved to another row.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { outdated } from './secret-ring.ts';
import type { Secrets } from './secrets.ts';

const ivBytes = 12;
const tagBytes = 16;

export interface SealedFor {
  /** Purpose of these secrets. It must never change, or existing secrets cannot be opened. */
  purpose: string;
  /** Identifies the row, starting with its team. */
  row: readonly string[];
}

export type SealingKeys = Pick<Secrets, 'pepper' | 'sealing'>;

export interface Sealed {
  sealed: Uint8Array<ArrayBuffer>;
  /** The ring and version whose key opens the secret, such as `pepper:1`. */
  sealedBy: string;
}

/** Returns the `sealedBy` of new secrets. */
export function currentSeal({ sealing }: SealingKeys): string {
  return `${sealing.name}:${sealing.current.version}`;
}

export function seal(keys: SealingKeys, { purpose, row }: SealedFor, secret: string): Sealed {
  const sealedBy = currentSeal(keys);
  const iv = randomBytes(ivBytes);
  const key = keyOf(keys.sealing.current.secret, purpose);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(nameOf(row));
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return { sealed: new Uint8Array(Buffer.concat([iv, cipher.getAuthTag(), sealed])), sealedBy };
}

/**
 * Opens a sealed secret. Null: it was sealed by a dropped version, by a different secret of that version, or for another row. Throws
 * GraftError `secrets_outdated`.
 */
export async function unseal(
  keys: SealingKeys,
  { purpose, row }: SealedFor,
  { sealed, sealedBy }: { sealed: Uint8Array; sealedBy: string },
): Promise<string | null> {
  const [name, version] = sealedBy.split(':');
  // Secrets that were sealed with the pepper remain so until they are sealed again.
  const ring = [keys.sealing, keys.pepper].find((candidate) => candidate.name === name);
  if (!ring) throw outdated('GRAFT_SEALING_KEY');
  const secret = await ring.find(Number(version));
  if (secret === null) return null;
  const bytes = Buffer.from(sealed);
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyOf(secret, purpose), bytes.subarray(0, ivBytes), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(nameOf(row)).setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
    return decipher.update(bytes.subarray(ivBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return null;
  }
}

function keyOf(secret: string, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, 'graft', purpose, 32));
}

function nameOf(row: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(row));
}

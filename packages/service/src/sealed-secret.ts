/**
 * Secrets that must be read again, unlike those of API keys: Postgres holds them encrypted, by AES-256-GCM under a key that HKDF
 * makes of the pepper for each purpose, bound to their row, so that no row can stand for another.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const ivBytes = 12;
const tagBytes = 16;

export interface SealedFor {
  /** What such secrets are for; it never changes, or none opens any more. */
  purpose: string;
  /** Names the row, its team first. */
  row: readonly string[];
}

export function seal(pepper: string, { purpose, row }: SealedFor, secret: string): Uint8Array<ArrayBuffer> {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv('aes-256-gcm', keyOf(pepper, purpose), iv).setAAD(nameOf(row));
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return new Uint8Array(Buffer.concat([iv, cipher.getAuthTag(), sealed]));
}

/** Throws when it was sealed under another pepper, or for another row. */
export function unseal(pepper: string, { purpose, row }: SealedFor, sealed: Uint8Array): string {
  const bytes = Buffer.from(sealed);
  const decipher = createDecipheriv('aes-256-gcm', keyOf(pepper, purpose), bytes.subarray(0, ivBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(nameOf(row)).setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
  return decipher.update(bytes.subarray(ivBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8');
}

function keyOf(pepper: string, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', pepper, 'graft', purpose, 32));
}

function nameOf(row: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(row));
}

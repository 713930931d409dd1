/**
 * Secrets that sign webhooks. Unlike those of API keys they must be read again, so Postgres holds them encrypted: by AES-256-GCM
 * under a key that HKDF makes of the pepper, bound to their row, so that no row can stand for another.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const ivBytes = 12;
const tagBytes = 16;

/** Whose secret it is: no other row's ciphertext opens under it. */
export interface SecretOwner {
  teamId: string;
  endpointId: string;
  id: string;
}

/** 256 random bits, in the form of the Standard Webhooks specification. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

export function sealSecret(pepper: string, owner: SecretOwner, secret: string): Uint8Array<ArrayBuffer> {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv('aes-256-gcm', keyOf(pepper), iv).setAAD(nameOf(owner));
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return new Uint8Array(Buffer.concat([iv, cipher.getAuthTag(), sealed]));
}

/** Throws when it was sealed under another pepper, or for another row. */
export function openSecret(pepper: string, owner: SecretOwner, sealed: Uint8Array): string {
  const bytes = Buffer.from(sealed);
  const decipher = createDecipheriv('aes-256-gcm', keyOf(pepper), bytes.subarray(0, ivBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(nameOf(owner)).setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
  return decipher.update(bytes.subarray(ivBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8');
}

function keyOf(pepper: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', pepper, 'graft', 'secrets of webhooks, 1', 32));
}

function nameOf({ teamId, endpointId, id }: SecretOwner): Buffer {
  return Buffer.from(JSON.stringify([teamId, endpointId, id]));
}

import { createHmac } from 'node:crypto';
import { randomText } from '../ids.ts';

/** admin: keys and members too; member: everything else; viewer: reads only. */
export const roles = ['admin', 'member', 'viewer'] as const;
export type Role = (typeof roles)[number];

/** The parts of `graft_<keyid>_<secret>`. */
export interface ParsedKey {
  keyId: string;
  secret: string;
}

const pattern = /^graft_([0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/;

/** Null unless the text has the shape of a key. */
export function parseApiKey(text: string): ParsedKey | null {
  const match = pattern.exec(text);
  return match ? { keyId: match[1]!, secret: match[2]! } : null;
}

/** A fresh key: 12 characters to look it up by, and a secret of 40 (238 bits). */
export function generateApiKey(): ParsedKey {
  return { keyId: randomText(12), secret: randomText(40) };
}

/** HMAC-SHA256(pepper, secret), 32 bytes: all that is stored of a secret. */
export function hashSecret(pepper: string, secret: string): Buffer {
  return createHmac('sha256', pepper).update(secret).digest();
}

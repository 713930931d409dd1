import { createHmac, timingSafeEqual } from 'node:crypto';
import { randomText } from '../ids.ts';
import type { SecretRing } from './secret-ring.ts';

/** The parts of a key: `graft_<keyid>_<secret>` of a team, `graft_op_<id>_<secret>` of the operator. */
export interface ParsedKey {
  keyId: string;
  secret: string;
}

const patterns = {
  team: /^graft_([0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
  operator: /^graft_(op_[0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
  // Its id is as that of a row, behind another prefix: leaked, it tells what it is.
  invitation: /^graft_(invite_[0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
  scim: /^graft_(scim_[0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
  session: /^graft_(session_[0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
};

function parse(kind: keyof typeof patterns, text: string): ParsedKey | null {
  const match = patterns[kind].exec(text);
  return match ? { keyId: match[1]!, secret: match[2]! } : null;
}

/** Null unless the text has the shape of a team's key. */
export const parseApiKey = (text: string) => parse('team', text);
/** The same of an operator's key; `keyId` begins with `op_`. */
export const parseOperatorKey = (text: string) => parse('operator', text);
/** The same of an invitation's token; `keyId` begins with `invite_`. */
export const parseInvitationToken = (text: string) => parse('invitation', text);
/** The same of a directory's token; `keyId` begins with `scim_`. */
export const parseScimToken = (text: string) => parse('scim', text);
/** The same of a session's token, which its cookie holds; `keyId` begins with `session_`. */
export const parseSessionToken = (text: string) => parse('session', text);

/** A fresh key: 12 characters to look it up by, behind `prefix`, and a secret of 40 (238 bits). */
export function generateApiKey(prefix: '' | 'op_' | 'invite_' | 'session_' | 'scim_' = ''): ParsedKey {
  return { keyId: prefix + randomText(12), secret: randomText(40) };
}

/** The whole text of a key, or of an invitation's or a session's token. */
export function wholeKey({ keyId, secret }: ParsedKey): string {
  return `graft_${keyId}_${secret}`;
}

/** HMAC-SHA256(pepper, secret), 32 bytes: all that is stored of a secret. */
function hashSecret(pepper: string, secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHmac('sha256', pepper).update(secret).digest());
}

/** What is stored of a secret, and by which version of the pepper. */
export interface StoredSecret {
  hmac: Uint8Array<ArrayBuffer>;
  pepperVersion: number;
}

export function storeSecret(pepper: SecretRing, secret: string): StoredSecret {
  const { version, secret: key } = pepper.current;
  return { hmac: hashSecret(key, secret), pepperVersion: version };
}

/**
 * Whether a secret is the stored one. Without a stored one it is not, and finding that out takes as long. One of a version that was
 * dropped is none. Throws GraftError `secrets_outdated`.
 */
export async function isSecret(
  pepper: SecretRing,
  secret: string,
  stored: { hmac: Uint8Array; pepperVersion: number } | null | undefined,
): Promise<boolean> {
  const key = stored ? await pepper.find(stored.pepperVersion) : null;
  const matches = timingSafeEqual(
    stored?.hmac ?? Buffer.alloc(32),
    hashSecret(key ?? pepper.current.secret, secret),
  );
  return matches && key !== null;
}

/** What to store from now on of a secret that has just been verified. Null: it is stored by the current version, or a newer one. */
export function renewSecret(pepper: SecretRing, secret: string, pepperVersion: number): StoredSecret | null {
  return pepperVersion < pepper.current.version ? storeSecret(pepper, secret) : null;
}

import { createHmac, timingSafeEqual } from 'node:crypto';
import { randomText } from '../ids.ts';
import type { SecretRing } from './secret-ring.ts';

/** Parts of a key: `graft_<keyid>_<secret>` for a team, `graft_op_<id>_<secret>` for an operator. */
export interface ParsedKey {
  keyId: string;
  secret: string;
}

const patterns = {
  team: /^graft_([0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
  operator: /^graft_(op_[0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
  // Unlike a row's id, it has the prefix `invite_`, so that a leaked token is recognisable.
  invitation: /^graft_(invite_[0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
  scim: /^graft_(scim_[0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
  session: /^graft_(session_[0-9A-Za-z]{8,32})_([0-9A-Za-z]{24,64})$/,
};

function parse(kind: keyof typeof patterns, text: string): ParsedKey | null {
  const match = patterns[kind].exec(text);
  return match ? { keyId: match[1]!, secret: match[2]! } : null;
}

/** Null unless the text has the format of a team's key. */
export const parseApiKey = (text: string) => parse('team', text);
/** Null unless the text has the format of an operator's key; `keyId` starts with `op_`. */
export const parseOperatorKey = (text: string) => parse('operator', text);
/** Null unless the text has the format of an invitation's token; `keyId` starts with `invite_`. */
export const parseInvitationToken = (text: string) => parse('invitation', text);
/** Null unless the text has the format of a SCIM token; `keyId` starts with `scim_`. */
export const parseScimToken = (text: string) => parse('scim', text);
/** Null unless the text has the format of a session's token, as in its cookie; `keyId` starts with `session_`. */
export const parseSessionToken = (text: string) => parse('session', text);

/** Generates a key: an id of `prefix` and 12 characters, and a secret of 40 characters (238 bits). */
export function generateApiKey(prefix: '' | 'op_' | 'invite_' | 'session_' | 'scim_' = ''): ParsedKey {
  return { keyId: prefix + randomText(12), secret: randomText(40) };
}

export function wholeKey({ keyId, secret }: ParsedKey): string {
  return `graft_${keyId}_${secret}`;
}

/** Returns HMAC-SHA256(pepper, secret), 32 bytes: only this is stored of a secret. */
function hashSecret(pepper: string, secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHmac('sha256', pepper).update(secret).digest());
}

/** Stored form of a secret, with the version of the pepper. */
export interface StoredSecret {
  hmac: Uint8Array<ArrayBuffer>;
  pepperVersion: number;
}

export function storeSecret(pepper: SecretRing, secret: string): StoredSecret {
  const { version, secret: key } = pepper.current;
  return { hmac: hashSecret(key, secret), pepperVersion: version };
}

/**
 * Returns whether a secret matches the stored one. Takes equally long without a stored secret. A secret of a dropped pepper version never
 * matches. Throws GraftError `secrets_outdated`.
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

/** Returns the new stored form of a verified secret. Null: it is already stored under the current version, or a newer one. */
export function renewSecret(pepper: SecretRing, secret: string, pepperVersion: number): StoredSecret | null {
  return pepperVersion < pepper.current.version ? storeSecret(pepper, secret) : null;
}

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { SecretRing } from '@graft/service/secrets';

/** State of a sign-in between the redirect to the provider and the return. Stored only in the browser, encrypted. */
export interface Flow {
  state: string;
  nonce: string;
  codeVerifier: string;
  returnTo: string;
  team: string | null;
  /** The provider must authenticate the person again after the flow starts. */
  reauthenticate: boolean;
  /** Unix milliseconds. */
  endsAt: number;
}

/** Seconds that a person may take at the provider. */
export const flowSeconds = 600;

/** Encrypts the flow, so that anonymous requests need no database row: AES-256-GCM with a key derived from any version of the pepper. */
export function flowSeal(pepper: Pick<SecretRing, 'current' | 'versions'>) {
  const keyOf = ({ secret }: { secret: string }) =>
    new Uint8Array(hkdfSync('sha256', secret, '', 'graft sign-in flow', 32));
  return {
    seal(flow: Flow): string {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', keyOf(pepper.current), iv);
      const sealed = Buffer.concat([cipher.update(JSON.stringify(flow), 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url');
    },

    /** Null: not encrypted with these keys, or expired. */
    open(text: string): Flow | null {
      const bytes = Buffer.from(text, 'base64url');
      if (bytes.length < 29) return null;
      for (const version of pepper.versions) {
        const flow = openBy(keyOf(version), bytes);
        if (flow) return flow.endsAt > Date.now() ? flow : null;
      }
      return null;
    },
  };
}

function openBy(key: Uint8Array, bytes: Buffer): Flow | null {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 });
    decipher.setAuthTag(bytes.subarray(12, 28));
    const opened = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]);
    return JSON.parse(opened.toString('utf8')) as Flow;
  } catch {
    return null;
  }
}

/** Returns the path on this server to continue at, or the default for anything else, such as another host spelled as a path. */
export function parseReturnTo(text: string | undefined, origin: string): string {
  const byDefault = '/v1/me';
  if (text === undefined || text.length > 1024 || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(text))
    return byDefault;
  return URL.canParse(text, origin) && new URL(text, origin).origin === origin ? text : byDefault;
}

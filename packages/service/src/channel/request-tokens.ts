import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from 'node:crypto';
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import type { SecretRing } from '../secrets/secret-ring.ts';

/** Lifetime of a token in milliseconds; the clocks of two machines may differ by about as much. */
const lifetimeMs = 5 * 60_000;
/** A key that no API process has used for this long is no longer trusted. */
const trusted = '1 hour';
/** Minimum interval between queries for unknown keys, in milliseconds. */
const refreshMs = 1_000;

/** DER prefix of a 32-byte Ed25519 private key in PKCS#8 (RFC 8410). */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Derives the signing key from the pepper, so all API processes share it. Workers do not have the pepper. */
function signingKey(pepper: string): KeyObject {
  const seed = Buffer.from(hkdfSync('sha256', pepper, 'graft', 'requests to workers', 32));
  return createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' });
}

/** Signs a token for one request to one worker. No other worker accepts it, so a worker that receives a token cannot reuse it. */
export function signRequest({ versions }: Pick<SecretRing, 'versions'>, workerId: string): string {
  // The newest version's key may not be published yet.
  const { secret: pepper } = versions.at(-1)!;
  const payload = Buffer.from(JSON.stringify({ worker: workerId, until: Date.now() + lifetimeMs }));
  return `${payload.toString('base64url')}.${sign(null, payload, signingKey(pepper)).toString('base64url')}`;
}

/** Publishes the public keys with which workers verify tokens. Called repeatedly, since keys of dropped peppers expire. */
export async function publishChannelKeys({
  sql,
  secrets,
}: Pick<Database, 'sql'> & { secrets: { pepper: Pick<SecretRing, 'versions'> } }): Promise<void> {
  const keys = secrets.pepper.versions.map(({ secret }) =>
    createPublicKey(signingKey(secret)).export({ format: 'der', type: 'spki' }),
  );
  await withSystemScope(() =>
    sql.query(
      `INSERT INTO channel_keys (public_key) SELECT unnest($1::bytea[]) ON CONFLICT (public_key) DO UPDATE SET used_at = now()`,
      [keys],
    ),
  );
}

/** Returns a check that an API of this installation signed a token for this worker. Keeps known keys while Postgres is unavailable. */
export function createTokenCheck(
  { sql }: Pick<Database, 'sql'>,
  workerId: string,
): (token: string) => Promise<boolean> {
  let keys: KeyObject[] = [];
  let lookedAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | null = null;
  const isSigned = (payload: Buffer, signature: Buffer) =>
    keys.some((key) => verify(null, payload, key, signature));
  const read = async () => {
    lookedAt = performance.now();
    const { rows } = await withSystemScope(() =>
      sql.query<{ key: Buffer }>(
        'SELECT public_key AS key FROM channel_keys WHERE used_at > now() - $1::interval',
        [trusted],
      ),
    );
    keys = rows.map(({ key }) => createPublicKey({ key, format: 'der', type: 'spki' }));
  };
  // Concurrent requests share one query.
  const refresh = async () => {
    if (performance.now() - lookedAt >= refreshMs) {
      reading = read().finally(() => {
        reading = null;
      });
    }
    await reading;
  };
  return async (token) => {
    const [payload, signature] = token.split('.').map((part) => Buffer.from(part, 'base64url'));
    if (!payload || !signature) return false;
    if (!isSigned(payload, signature)) {
      await refresh().catch(() => {});
      if (!isSigned(payload, signature)) return false;
    }
    const { worker, until } = JSON.parse(payload.toString()) as { worker: string; until: number };
    return worker === workerId && Math.abs(until - Date.now()) < 2 * lifetimeMs && until > Date.now();
  };
}

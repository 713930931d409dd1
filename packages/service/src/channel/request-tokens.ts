import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from 'node:crypto';
import type { Database } from '../database/database.ts';
import { asSystem } from '../database/on-behalf-of.ts';
import type { SecretRing } from '../secrets/secret-ring.ts';

/** Milliseconds that a token is good for: clocks of two machines may differ by about as much. */
const lifetimeMs = 5 * 60_000;
/** A key that no API has used for so long is not trusted any more. */
const trusted = '1 hour';
/** Milliseconds between two looks at Postgres for a key that is not known. */
const refreshMs = 1_000;

/** Before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410). */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The same in each API process, and nowhere else: it follows from the pepper, which workers do not hold. */
function signingKey(pepper: string): KeyObject {
  const seed = Buffer.from(hkdfSync('sha256', pepper, 'graft', 'requests to workers', 32));
  return createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' });
}

/** For one request to one worker. To any other one it is worth nothing, so neither is it to whoever takes it there. */
export function signRequest({ versions }: Pick<SecretRing, 'versions'>, workerId: string): string {
  // The key of a version that was added a moment ago may not be published yet.
  const { secret: pepper } = versions.at(-1)!;
  const payload = Buffer.from(JSON.stringify({ worker: workerId, until: Date.now() + lifetimeMs }));
  return `${payload.toString('base64url')}.${sign(null, payload, signingKey(pepper)).toString('base64url')}`;
}

/** Writes what workers check tokens with. Again and again: keys of a pepper that was dropped are forgotten. */
export async function publishChannelKeys({
  sql,
  secrets,
}: Pick<Database, 'sql'> & { secrets: { pepper: Pick<SecretRing, 'versions'> } }): Promise<void> {
  const keys = secrets.pepper.versions.map(({ secret }) =>
    createPublicKey(signingKey(secret)).export({ format: 'der', type: 'spki' }),
  );
  await asSystem(() =>
    sql.query(
      `INSERT INTO channel_keys (public_key) SELECT unnest($1::bytea[]) ON CONFLICT (public_key) DO UPDATE SET used_at = now()`,
      [keys],
    ),
  );
}

/** Whether a token is for this worker and by an API of this installation. Keys known before stay while Postgres is away. */
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
    const { rows } = await asSystem(() =>
      sql.query<{ key: Buffer }>(
        'SELECT public_key AS key FROM channel_keys WHERE used_at > now() - $1::interval',
        [trusted],
      ),
    );
    keys = rows.map(({ key }) => createPublicKey({ key, format: 'der', type: 'spki' }));
  };
  // Requests that come together all wait for one look.
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

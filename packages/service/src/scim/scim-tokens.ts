/** Tokens of SCIM clients: created by `graft admin scim`, for the installation, not for a team. */
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { inSystemTransaction } from '../database/in-transaction.ts';
import type { ScimToken } from '../generated/client.ts';
import {
  generateApiKey,
  isSecret,
  parseScimToken,
  renewSecret,
  storeSecret,
  wholeKey,
} from '../secrets/api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';

export type ScimTokenRecord = Omit<ScimToken, 'secretHmac'>;

/** Creates a token. The result contains the full token, which cannot be shown again. `expiresIn`: seconds. */
export async function createScimToken(
  db: Database & { secrets: Secrets },
  { name, expiresIn }: { name: string; expiresIn?: number | undefined },
): Promise<{ record: ScimTokenRecord; token: string }> {
  const made = generateApiKey('scim_');
  const { hmac: secretHmac, pepperVersion } = storeSecret(db.secrets.pepper, made.secret);
  return await inSystemTransaction(db, async (tx) => {
    const [clock] = await tx.$queryRaw<{ now: Date }[]>`SELECT now()`;
    const expiresAt = expiresIn === undefined ? null : new Date(clock!.now.getTime() + expiresIn * 1000);
    const record = await tx.scimToken.create({
      data: { id: made.keyId, name, secretHmac, pepperVersion, expiresAt },
      omit: { secretHmac: true },
    });
    await insertAudit(tx, null, null, { action: 'scim_token.create', target: made.keyId });
    return { record, token: wholeKey(made) };
  });
}

/** Lists at most a thousand tokens, newest first, without their secrets, which are not stored. */
export async function listScimTokens({ db }: Database): Promise<ScimTokenRecord[]> {
  return await withSystemScope(
    async () =>
      await db.scimToken.findMany({
        omit: { secretHmac: true },
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        take: 1000,
      }),
  );
}

/** Revokes a token at once. Returns false if there is no such valid token. */
export async function revokeScimToken(db: Database, id: string): Promise<boolean> {
  return await inSystemTransaction(db, async (tx) => {
    const count = await tx.$executeRaw`
        UPDATE scim_tokens SET revoked_at = now() WHERE id = ${id} AND revoked_at IS NULL`;
    if (count === 0) return false;
    await insertAudit(tx, null, null, { action: 'scim_token.revoke', target: id });
    return true;
  });
}

/** Returns the id of the token in an `Authorization` header; null unless the token is valid. */
export async function verifyScimToken(
  db: Database & { secrets: Secrets },
  authorization: string | undefined,
): Promise<string | null> {
  const parsed = parseScimToken(/^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '');
  if (!parsed) return null;
  return await withSystemScope(async () => {
    const { rows } = await db.sql.query<{ hmac: Buffer; pepperVersion: number }>(
      `SELECT secret_hmac AS hmac, pepper_version AS "pepperVersion" FROM scim_tokens
       WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
      [parsed.keyId],
    );
    const row = rows[0];
    const { pepper } = db.secrets;
    if (!(await isSecret(pepper, parsed.secret, row)) || !row) return null;
    const renewed = renewSecret(pepper, parsed.secret, row.pepperVersion);
    await db.sql.query(
      `UPDATE scim_tokens SET last_used_at = now(), secret_hmac = coalesce($2, secret_hmac),
         pepper_version = coalesce($3, pepper_version)
       WHERE id = $1 AND ($3::int IS NOT NULL OR coalesce(last_used_at < now() - interval '1 minute', true))`,
      [parsed.keyId, renewed && Buffer.from(renewed.hmac), renewed?.pepperVersion ?? null],
    );
    return parsed.keyId;
  });
}

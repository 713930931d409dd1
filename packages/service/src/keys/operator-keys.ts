import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import type { OperatorKey } from '../generated/client.ts';
import { generateApiKey, storeSecret, wholeKey } from '../secrets/api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { holdMaker } from './hold-maker.ts';
import { endOfKey } from './limits-of-maker.ts';
import { withoutSecret } from './manage-api-keys.ts';
import { detailOf, endInvitations, endsAnything, revokeKeys } from './revoke-api-key.ts';
import type { Operator } from './verify-api-key.ts';

export type OperatorKeyRecord = Omit<OperatorKey, 'secretHmac' | 'pepperVersion'>;

/**
 * Creates an operator key for a person who is an operator, or for the service. The result contains the full key, which cannot be shown
 * again. Throws GraftError `not_an_operator`, and what `endOfKey` throws.
 */
export async function createOperatorKey(
  db: Database & { secrets: Secrets },
  input: { name: string; personId?: string | null; expiresIn?: number | null },
  by: Operator | null = null,
): Promise<{ record: OperatorKeyRecord; key: string }> {
  const { name, personId = null } = input;
  const made = generateApiKey('op_');
  const { hmac, pepperVersion } = storeSecret(db.secrets.pepper, made.secret);
  const expiresAt = await endOfKey(db, input.expiresIn ?? null, by);
  const record = await inTransaction(db, async (tx) => {
    await holdMaker(tx, by);
    const isOperator =
      personId === null ||
      (await tx.person.count({ where: { id: personId, isOperator: true, disabledAt: null } })) === 1;
    if (!isOperator) {
      throw new GraftError('not_an_operator', `${personId} is no person who operates this service.`, {
        param: 'person_id',
      });
    }
    const row = await tx.operatorKey.create({
      data: {
        id: made.keyId,
        name,
        personId,
        expiresAt,
        secretHmac: hmac,
        pepperVersion,
        createdBy: by?.personId ?? by?.keyId ?? null,
        madeByKey: by?.keyId ?? null,
      },
      ...withoutSecret,
    });
    await insertAudit(tx, null, by, {
      action: 'operator_key.create',
      target: made.keyId,
      detail: { person_id: personId, expires_at: expiresAt?.toISOString() ?? null },
    });
    return row;
  });
  return { record, key: wholeKey(made) };
}

/** Lists operator keys without their secrets, newest first. Throws GraftError `invalid_cursor`. */
export async function listOperatorKeys(
  { db }: Database,
  options: PageOptions,
): Promise<Page<OperatorKeyRecord>> {
  return await listRows(db.operatorKey, options, withoutSecret, (row) => row);
}

/**
 * Revokes an operator key and everything descended from it: the operator keys it made and their descendants, the team keys that any of
 * these made and their descendants, and the open invitations of all of them. Returns the ids of the revoked operator keys. Null: no such
 * key, or everything had already been revoked.
 */
export async function revokeOperatorKey(
  db: Database,
  id: string,
  by: Actor | null = null,
): Promise<string[] | null> {
  return await inTransaction(db, async (tx) => {
    if ((await tx.operatorKey.count({ where: { id } })) === 0) return null;
    const ended: string[] = [];
    const tree = new Set<string>();
    // Creating a key locks its maker's row until the new row exists, so a concurrent creation is seen here or fails.
    for (let fresh = [id]; fresh.length > 0; ) {
      for (const each of fresh) tree.add(each);
      const rows = await tx.$queryRaw<{ id: string }[]>`
        UPDATE operator_keys SET revoked_at = now() WHERE id = ANY(${fresh}) AND revoked_at IS NULL RETURNING id`;
      ended.push(...rows.map((row) => row.id));
      const made = await tx.$queryRaw<{ id: string }[]>`
        SELECT id FROM operator_keys WHERE made_by_key = ANY(${fresh})`;
      fresh = made.map((row) => row.id).filter((each) => !tree.has(each));
    }
    const keys = [...tree];
    const teams = await tx.$queryRaw<{ teamId: string; made: string[] }[]>`
      SELECT team_id AS "teamId", coalesce(array_agg(id) FILTER (WHERE is_key), '{}') AS made FROM (
        SELECT team_id, id, false AS is_key FROM invitations
        WHERE made_by_key = ANY(${keys}) AND revoked_at IS NULL AND accepted_at IS NULL
        UNION ALL SELECT team_id, id, true FROM api_keys WHERE made_by_key = ANY(${keys})) AS made_by_them
      GROUP BY team_id`;
    const invitations: string[] = [];
    const teamKeys: string[] = [];
    for (const { teamId, made } of teams) {
      invitations.push(...(await endInvitations(tx, teamId, keys)).invitations);
      if (made.length === 0) continue;
      const revoked = await revokeKeys(tx, teamId, made, { by, isDeep: true });
      if (!endsAnything(revoked)) continue;
      teamKeys.push(...revoked.keys);
      const detail = { descendants: 'revoke', ...detailOf(revoked) };
      await insertAudit(tx, teamId, by, { action: 'api_key.revoke', target: id, detail });
    }
    // The key and everything that it made was revoked before.
    if (ended.length + invitations.length + teamKeys.length === 0) return null;
    const detail = { keys: ended, invitations, ...(teamKeys.length > 0 ? { team_keys: teamKeys } : {}) };
    await insertAudit(tx, null, by, { action: 'operator_key.revoke', target: id, detail });
    return ended;
  });
}

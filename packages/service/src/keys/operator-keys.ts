import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { type Page, readPage } from '../database/read-page.ts';
import type { OperatorKey } from '../generated/client.ts';
import type { Secrets } from '../secrets.ts';
import { generateApiKey, storeSecret, wholeKey } from './api-key.ts';
import { endOfKey } from './limits-of-maker.ts';
import type { Operator } from './verify-api-key.ts';

export type OperatorKeyRecord = Omit<OperatorKey, 'secretHmac' | 'pepperVersion'>;

const withoutSecret = { omit: { secretHmac: true, pepperVersion: true } } as const;

/**
 * Makes a key of the operator, of a person who is one or of the service's own. The answer holds the whole key, the
 * only time it can be shown. Throws GraftError `not_an_operator`, and what `endOfKey` throws.
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
        ...{ name, personId, expiresAt },
        secretHmac: hmac,
        pepperVersion,
        createdBy: by?.personId ?? by?.keyId ?? null,
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

/** Newest first, without their secrets. Throws GraftError `invalid_cursor`. */
export async function listOperatorKeys(
  { db }: Database,
  options: { after?: string | undefined; limit: number },
): Promise<Page<OperatorKeyRecord>> {
  return await readPage(options, {
    has: async (id) => await db.operatorKey.count({ where: { id } }),
    read: async (page) =>
      await db.operatorKey.findMany({
        ...withoutSecret,
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        ...page,
      }),
    toRecord: (row) => row,
  });
}

/** The key stops working at once. False: no such living key. */
export async function revokeOperatorKey(db: Database, id: string, by: Actor | null = null): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const count = await tx.$executeRaw`
      UPDATE operator_keys SET revoked_at = now() WHERE id = ${id} AND revoked_at IS NULL`;
    if (count === 0) return false;
    await insertAudit(tx, null, by, { action: 'operator_key.revoke', target: id });
    return true;
  });
}

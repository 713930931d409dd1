import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import type { Transaction } from '../database/database.ts';

/**
 * Locks the row of the key that makes something until the transaction ends: a concurrent revocation waits and then also ends what was made.
 * Throws GraftError `invalid_api_key` if the key was revoked since it was verified.
 */
export async function holdMaker(tx: Transaction, by: Actor | null): Promise<void> {
  const keyId = by?.keyId ?? null;
  if (keyId === null) return;
  const rows = keyId.startsWith('op_')
    ? await tx.$queryRaw<object[]>`
        SELECT 1 FROM operator_keys WHERE id = ${keyId} AND revoked_at IS NULL FOR SHARE`
    : await tx.$queryRaw<
        object[]
      >`SELECT 1 FROM api_keys WHERE id = ${keyId} AND revoked_at IS NULL FOR SHARE`;
  if (rows.length > 0) return;
  throw new GraftError('invalid_api_key', 'The API key has been revoked meanwhile.', { param: null });
}

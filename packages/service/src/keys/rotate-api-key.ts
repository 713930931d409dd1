import { GraftError } from '@graft/peft-core/config';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { generateApiKey, wholeKey } from '../secrets/api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { insertApiKey } from './create-api-key.ts';
import { checkRights, endOfKey } from './limits-of-maker.ts';
import { type ApiKeyRecord, getApiKey } from './manage-api-keys.ts';
import type { Identity } from './verify-api-key.ts';

interface Rotation {
  /** Seconds until the old key ends. */
  overlap: number;
  /** Lifetime of the new key in seconds. Undefined: the lifetime of the old one. */
  expiresIn?: number | undefined;
  /** Who rotates the key. Null: the operator. */
  by: Identity | null;
}

/**
 * Creates a key's successor with the same rights, name and owner, and limits the lifetime of the old key. The result contains the full new
 * key, which cannot be shown again. Null: the team has no such key. Throws GraftError `key_not_rotatable` if the key was already rotated or
 * no longer works, and what `checkRights` and `endOfKey` throw: the requester learns the new key, and so must have its rights.
 */
export async function rotateApiKey(
  db: Database & { secrets: Secrets },
  teamId: string,
  id: string,
  { overlap, expiresIn, by }: Rotation,
): Promise<{ keyId: string; key: string; old: ApiKeyRecord } | null> {
  const old = await getApiKey(db, teamId, id);
  if (!old) return null;
  if (!isItsOwn(old, by)) checkRights(old, by);
  const lifetime = old.expiresAt && (old.expiresAt.getTime() - old.createdAt.getTime()) / 1000;
  const expiresAt =
    expiresIn === undefined ? await sameLifetime(db, lifetime, by) : await endOfKey(db, expiresIn, by);
  const made = generateApiKey();
  await inTransaction(db, async (tx) => {
    await endOld(tx, teamId, id, made.keyId, overlap);
    const { name, role, scopes, models, personId } = old;
    const row = { name, role, scopes, models, personId, expiresAt };
    await insertApiKey(tx, db.secrets, teamId, made, row, by);
    await insertAudit(tx, teamId, by, {
      action: 'api_key.rotate',
      target: id,
      detail: { replaced_by: made.keyId, overlap_seconds: overlap },
    });
  });
  return { keyId: made.keyId, key: wholeKey(made), old };
}

/** Returns whether the requester is the key itself, or the owner signed in without a key. */
function isItsOwn(old: ApiKeyRecord, by: Identity | null): boolean {
  if (!by) return false;
  return by.keyId === old.id || (by.keyId === null && by.personId !== null && by.personId === old.personId);
}

/** Repeats the old key's lifetime. Since it was not requested, it is shortened to the requester's end instead of rejected. */
async function sameLifetime(db: Database, seconds: number | null, by: Identity | null): Promise<Date | null> {
  const last = by?.expiresAt ?? null;
  if (seconds === null) return last;
  const end = await endOfKey(db, seconds, null);
  return last && end && end > last ? last : end;
}

/** Limits the old key's lifetime. Of two concurrent rotations the second waits for the first, and then fails. */
async function endOld(
  tx: Transaction,
  teamId: string,
  id: string,
  successor: string,
  overlap: number,
): Promise<void> {
  const count = await tx.$executeRaw`
    UPDATE api_keys SET replaced_by = ${successor}, rotated_at = now(),
      expires_at = least(expires_at, now() + make_interval(secs => ${overlap}::int))
    WHERE team_id = ${teamId} AND id = ${id} AND revoked_at IS NULL AND replaced_by IS NULL
      AND (expires_at IS NULL OR expires_at > now())`;
  if (count === 1) return;
  throw new GraftError(
    'key_not_rotatable',
    'The key was revoked, has ended or was rotated already: make a new one.',
    { param: 'key_id' },
  );
}

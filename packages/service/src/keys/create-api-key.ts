import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { generateApiKey, type ParsedKey, parseApiKey, storeSecret, wholeKey } from '../secrets/api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { holdMaker } from './hold-maker.ts';
import { checkRights, endOfKey, type Rights } from './limits-of-maker.ts';
import { storedLimit } from './scopes.ts';
import { type Identity, identityInTeam, type Operator } from './verify-api-key.ts';

export interface NewApiKey extends Partial<Rights> {
  name: string;
  role: Rights['role'];
  /** A full key to store instead of a generated one (automation sets `GRAFT_BOOTSTRAP_KEY`). */
  key?: string | undefined;
  /** The member who owns the key. Undefined or null: the team. */
  personId?: string | null | undefined;
  /** Lifetime in seconds; undefined or null: unlimited. */
  expiresIn?: number | null | undefined;
  /** Who creates the key; rights do not limit an operator. Undefined: Graft itself, or a command that works on the database. */
  by?: Identity | Operator | undefined;
}

/** The columns of a key that is about to be inserted. */
export interface KeyRow extends Rights {
  name: string;
  personId: string | null;
  expiresAt: Date | null;
}

/**
 * Creates a key for a team. The result contains the full key, which cannot be shown again. Throws GraftError `invalid_api_key` for a given
 * key with the wrong format, `team_not_found`, `api_key_exists`, `member_not_found`, and what `checkRights` and `endOfKey` throw.
 */
export async function createApiKey(
  db: Database & { secrets: Secrets },
  teamId: string,
  input: NewApiKey,
): Promise<{ keyId: string; key: string }> {
  const parsed = input.key === undefined ? generateApiKey() : parseApiKey(input.key);
  if (!parsed) {
    throw new GraftError('invalid_api_key', 'A key has the form graft_<keyid>_<secret>.', { param: 'key' });
  }
  const { name, role, scopes = null, models = null, personId = null, by = null } = input;
  checkRights({ role, scopes, models }, identityInTeam(by));
  const expiresAt = await endOfKey(db, input.expiresIn ?? null, by);
  await inTransaction(db, async (tx) => {
    const team = await tx.team.findFirst({ where: { id: teamId, deletedAt: null } });
    if (!team) throw new GraftError('team_not_found', `No such team: ${teamId}`, { param: 'team' });
    const row = { name, role, scopes, models, personId, expiresAt };
    await insertApiKey(tx, db.secrets, teamId, parsed, row, by);
  });
  return { keyId: parsed.keyId, key: wholeKey(parsed) };
}

/** Inserts the row of a new key and its audit row. Throws GraftError `api_key_exists`, `member_not_found`, `invalid_api_key`. */
export async function insertApiKey(
  tx: Transaction,
  { pepper }: Secrets,
  teamId: string,
  { keyId, secret }: ParsedKey,
  { scopes, models, ...row }: KeyRow,
  by: Actor | null,
): Promise<void> {
  await holdMaker(tx, by);
  if (row.personId !== null) await holdMembership(tx, teamId, row.personId);
  const { hmac, pepperVersion } = storeSecret(pepper, secret);
  const { count } = await tx.apiKey.createMany({
    data: {
      id: keyId,
      teamId,
      ...row,
      scopes: storedLimit(scopes),
      models: storedLimit(models),
      secretHmac: hmac,
      pepperVersion,
      createdBy: by?.personId ?? by?.keyId ?? null,
      madeByKey: by?.keyId ?? null,
    },
    skipDuplicates: true,
  });
  if (count === 0) throw new GraftError('api_key_exists', 'A key of this id exists.', { param: 'key' });
  const { role, personId, expiresAt } = row;
  await insertAudit(tx, teamId, by, {
    action: 'api_key.create',
    target: keyId,
    detail: { role, scopes, models, person_id: personId, expires_at: expiresAt?.toISOString() ?? null },
  });
}

/** Locks the membership: a concurrent removal of the member waits until the key exists, and then revokes it with the others. */
async function holdMembership(tx: Transaction, teamId: string, personId: string): Promise<void> {
  const found = await tx.$queryRaw<object[]>`
    SELECT 1 FROM memberships WHERE team_id = ${teamId} AND person_id = ${personId} FOR KEY SHARE`;
  if (found.length > 0) return;
  throw new GraftError('member_not_found', `No such member of the team: ${personId}`, { param: 'person_id' });
}

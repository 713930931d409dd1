import { GraftError } from '@graft/peft-core/config';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import type { Secrets } from '../secrets.ts';
import { generateApiKey, hashSecret, parseApiKey, type Role } from './api-key.ts';

export interface NewApiKey {
  name: string;
  role: Role;
  /** A whole key to store instead of a fresh one (automation sets `GRAFT_BOOTSTRAP_KEY`). */
  key?: string | undefined;
  /** The API key that makes it; absent for the operator. */
  byKeyId?: string | undefined;
}

/**
 * Makes a key for a team. The answer holds the whole key, the only time it can be shown. Throws GraftError
 * `invalid_api_key` for a given key of the wrong shape, `team_not_found`, `api_key_exists`.
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
  await inTransaction(db, async (tx) => {
    const team = await tx.team.findFirst({ where: { id: teamId } });
    if (!team) throw new GraftError('team_not_found', `No such team: ${teamId}`, { param: 'team' });
    const { count } = await tx.apiKey.createMany({
      data: {
        id: parsed.keyId,
        teamId,
        name: input.name,
        role: input.role,
        secretHmac: new Uint8Array(hashSecret(db.secrets.pepper, parsed.secret)),
      },
      skipDuplicates: true,
    });
    if (count === 0) throw new GraftError('api_key_exists', 'A key of this id exists.', { param: 'key' });
    await insertAudit(tx, teamId, {
      keyId: input.byKeyId ?? null,
      action: 'api_key.create',
      target: parsed.keyId,
      detail: { role: input.role },
    });
  });
  return { keyId: parsed.keyId, key: `graft_${parsed.keyId}_${parsed.secret}` };
}

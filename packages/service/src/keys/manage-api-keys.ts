import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import type { Role } from './api-key.ts';

export interface ApiKeyRecord {
  id: string;
  teamId: string;
  name: string;
  role: Role;
  createdAt: Date;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
}

/** A team's keys, oldest first, without their secrets, which nobody has. */
export async function listApiKeys(db: Database, teamId: string): Promise<ApiKeyRecord[]> {
  const { rows } = await db.sql.query<ApiKeyRecord>(
    `SELECT id, team_id AS "teamId", name, role, created_at AS "createdAt", last_used_at AS "lastUsedAt",
            revoked_at AS "revokedAt"
     FROM api_keys WHERE team_id = $1 ORDER BY created_at, id`,
    [teamId],
  );
  return rows;
}

/** The key stops working at once. False: no such living key in this team. */
export async function revokeApiKey(
  db: Database,
  teamId: string,
  keyId: string,
  by: { keyId: string | null } = { keyId: null },
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { rowCount } = await tx.query(
      'UPDATE api_keys SET revoked_at = now() WHERE team_id = $1 AND id = $2 AND revoked_at IS NULL',
      [teamId, keyId],
    );
    if (rowCount) await insertAudit(tx, teamId, { keyId: by.keyId, action: 'api_key.revoke', target: keyId });
    return rowCount === 1;
  });
}

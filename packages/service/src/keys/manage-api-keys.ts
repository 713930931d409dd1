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
export async function listApiKeys({ db }: Database, teamId: string): Promise<ApiKeyRecord[]> {
  const rows = await db.apiKey.findMany({
    where: { teamId },
    omit: { secretHmac: true },
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
  });
  return rows.map(({ role, ...row }) => ({ ...row, role: role as Role }));
}

/** The key stops working at once. False: no such living key in this team. */
export async function revokeApiKey(
  db: Database,
  teamId: string,
  keyId: string,
  by: { keyId: string | null } = { keyId: null },
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const count = await tx.$executeRaw`
      UPDATE api_keys SET revoked_at = now() WHERE team_id = ${teamId} AND id = ${keyId} AND revoked_at IS NULL`;
    if (count === 0) return false;
    await insertAudit(tx, teamId, { keyId: by.keyId, action: 'api_key.revoke', target: keyId });
    return true;
  });
}

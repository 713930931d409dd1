import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';

/**
 * Removes the version behind a model name, and its adapter with the last one. Its files are collected a day later
 * unless another version has the same. False: no such model in this team.
 */
export async function deleteFineTunedModel(
  db: Database,
  teamId: string,
  modelName: string,
  by: { keyId: string | null },
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<{ adapterId: string }>(
      'DELETE FROM adapter_versions WHERE team_id = $1 AND model_name = $2 RETURNING adapter_id AS "adapterId"',
      [teamId, modelName],
    );
    if (!rows[0]) return false;
    await tx.query(
      `DELETE FROM adapters a WHERE a.team_id = $1 AND a.id = $2
         AND NOT EXISTS (SELECT 1 FROM adapter_versions v WHERE v.team_id = $1 AND v.adapter_id = a.id)`,
      [teamId, rows[0].adapterId],
    );
    await insertAudit(tx, teamId, { keyId: by.keyId, action: 'model.delete', target: modelName });
    return true;
  });
}

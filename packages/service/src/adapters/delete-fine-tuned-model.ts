import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { waitForRow } from '../database/wait-for-row.ts';
import { type Actor, actorOf } from '../keys/verify-api-key.ts';

/**
 * Removes the version behind a model name, and its adapter with the last one. Its files are collected a day later
 * unless another version has the same. False: no such model in this team.
 */
export async function deleteFineTunedModel(
  db: Database,
  teamId: string,
  modelName: string,
  by: Actor,
): Promise<boolean> {
  return await waitForRow(`model ${teamId} ${modelName}`, async () =>
    inTransaction(db, async (tx) => {
      const version = await tx.adapterVersion.findFirst({
        where: { teamId, modelName },
        select: { id: true, adapterId: true },
      });
      if (!version) return false;
      const adapter = { teamId, id: version.adapterId };
      // An update that changes nothing locks the adapter: a version that is being published is seen below, or makes the
      // adapter anew.
      await tx.adapter.updateMany({ where: adapter, data: { id: version.adapterId } });
      // None when another request has deleted it since it was read.
      const { count } = await tx.adapterVersion.deleteMany({ where: { teamId, id: version.id } });
      if (count === 0) return false;
      await tx.adapter.deleteMany({ where: { ...adapter, versions: { none: {} } } });
      await insertAudit(tx, teamId, { ...actorOf(by), action: 'model.delete', target: modelName });
      return true;
    }),
  );
}

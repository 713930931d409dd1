/** Changes that users request. The worker that writes the export finds its lease lost, and ends its writer within two seconds. */
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inRowTransaction } from '../database/in-transaction.ts';
import type { ServiceEnv } from '../environment/env.ts';
import { enqueueOutboxEvent } from '../webhooks/enqueue-outbox-event.ts';
import { type AdapterExport, exportOf } from './export.ts';
import { chargeExport } from './export-turns.ts';

type Of = Pick<AdapterExport, 'teamId' | 'versionId' | 'id'>;

/** queued, running → cancelled. Null: it has already ended, or does not exist. */
export async function cancelExport(
  db: Database & { env: Pick<ServiceEnv, 'exportDays'> },
  { teamId, versionId, id }: Of,
  by: Actor,
): Promise<AdapterExport | null> {
  return await inRowTransaction(db, `export ${id}`, async (tx) => {
    const [open] = await tx.$queryRaw<object[]>`
        SELECT 1 FROM adapter_exports WHERE team_id = ${teamId} AND version_id = ${versionId} AND id = ${id}
          AND status IN ('queued', 'running') FOR UPDATE NOWAIT`;
    if (!open) return null;
    await chargeExport(tx, { id, teamId });
    await tx.$executeRaw`
        UPDATE adapter_exports SET status = 'cancelled', lease_until = NULL, lease_epoch = lease_epoch + 1, lease_token = NULL,
          finished_at = now(), expires_at = now() + make_interval(days => ${db.env.exportDays})
        WHERE team_id = ${teamId} AND id = ${id}`;
    await insertAudit(tx, teamId, by, { action: 'export.cancel', target: id });
    await enqueueOutboxEvent(tx, { teamId, id }, 'export.cancelled');
    return exportOf(await tx.adapterExport.findFirstOrThrow({ where: { teamId, id } }));
  });
}

/** Decides whether the export expires. Null: it does not exist. */
export async function keepExport(
  db: Database & { env: Pick<ServiceEnv, 'exportDays'> },
  { teamId, versionId, id }: Of,
  keep: boolean,
  by: Actor,
): Promise<AdapterExport | null> {
  return await inRowTransaction(db, `export ${id}`, async (tx) => {
    const [row] = await tx.$queryRaw<{ keep: boolean }[]>`
        SELECT keep FROM adapter_exports WHERE team_id = ${teamId} AND version_id = ${versionId} AND id = ${id}
          FOR UPDATE NOWAIT`;
    if (!row) return null;
    if (row.keep !== keep) {
      // An export that was kept for long would otherwise be removed at once.
      await tx.$executeRaw`
          UPDATE adapter_exports SET keep = ${keep},
            expires_at = CASE WHEN finished_at IS NULL THEN NULL ELSE now() + make_interval(days => ${db.env.exportDays}) END
          WHERE team_id = ${teamId} AND id = ${id}`;
      await insertAudit(tx, teamId, by, { action: 'export.keep', target: id, detail: { keep } });
    }
    return exportOf(await tx.adapterExport.findFirstOrThrow({ where: { teamId, id } }));
  });
}

/**
 * Removes an export, also while it is being written. Returns the name of its stored files, which the caller removes from the store
 * (otherwise the collector does, a day later), or null without files; undefined: it does not exist.
 */
export async function deleteExport(
  db: Database,
  { teamId, versionId, id }: Of,
  by: Actor,
): Promise<string | null | undefined> {
  return await inRowTransaction(db, `export ${id}`, async (tx) => {
    const [row] = await tx.$queryRaw<{ artifact: string | null; status: string; format: string }[]>`
        SELECT artifact, status, format FROM adapter_exports
        WHERE team_id = ${teamId} AND version_id = ${versionId} AND id = ${id} FOR UPDATE NOWAIT`;
    if (!row) return undefined;
    await chargeExport(tx, { id, teamId });
    await tx.adapterExport.deleteMany({ where: { teamId, id } });
    const { artifact, ...detail } = row;
    await insertAudit(tx, teamId, by, { action: 'export.delete', target: id, detail });
    return artifact;
  });
}

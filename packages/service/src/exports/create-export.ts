import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, json, type Transaction } from '../database/database.ts';
import { tryLockName } from '../database/wait-for-row.ts';
import type { ServiceEnv } from '../environment/env.ts';
import { newId } from '../ids.ts';
import { readQuota } from '../teams/team-quota.ts';
import { checkStorageQuota, inQuota, limitsStorage } from '../teams/within-quota.ts';
import { type AdapterExport, exportOf, fingerprintOf } from './export.ts';

export interface NewExport {
  versionId: string;
  format: string;
  /** Complete, with defaults. */
  options: Record<string, unknown>;
  /** Maximum bytes of its files. */
  reservedBytes: number;
  keep: boolean;
}

/** Maximum number of exports of a team that wait or are being written. */
export const maxOpenExports = 50;

/**
 * ∅ → queued, with its audit row. If the version has an export with the same format and options that has not failed, returns that one
 * (`created` false): its time until it expires begins again, and `keep` is added. Throws GraftError `adapter_version_not_found` if the version
 * was deleted meanwhile, `too_many_exports`, and QuotaExceeded.
 */
export async function createExport(
  db: Database & { env: Pick<ServiceEnv, 'exportDays'> },
  teamId: string,
  request: NewExport,
  by: Actor,
): Promise<{ made: AdapterExport; created: boolean }> {
  const { versionId, format, options, reservedBytes, keep } = request;
  const fingerprint = fingerprintOf(format, options);
  const quota = await readQuota(db, teamId);
  const name = `graft:export:${teamId}:${versionId}:${fingerprint}`;
  return await inQuota(
    db,
    teamId,
    limitsStorage(quota, 'exports'),
    async (tx) => {
      // The second of two identical concurrent requests fails here, and finds the first one's row when it is retried.
      await tryLockName(tx, name);
      const same = { teamId, versionId, fingerprint, corruptAt: null };
      const before = await tx.adapterExport.findFirst({
        where: { ...same, status: { in: ['queued', 'running', 'succeeded'] } },
      });
      if (before) {
        const renewed = await tx.$executeRaw`
          UPDATE adapter_exports SET keep = keep OR ${keep},
            expires_at = CASE WHEN status = 'succeeded' THEN now() + make_interval(days => ${db.env.exportDays}) END
          WHERE team_id = ${teamId} AND id = ${before.id} AND status IN ('queued', 'running', 'succeeded') AND corrupt_at IS NULL`;
        // It may have failed, been cancelled or deleted, or its files found damaged meanwhile.
        if (renewed === 1) {
          if (keep && !before.keep)
            await insertAudit(tx, teamId, by, { action: 'export.keep', target: before.id, detail: { keep } });
          const row = await tx.adapterExport.findFirstOrThrow({ where: { teamId, id: before.id } });
          return { made: exportOf(row), created: false };
        }
      }
      await holdVersion(tx, teamId, versionId);
      const open = await tx.adapterExport.count({ where: { teamId, status: { in: ['queued', 'running'] } } });
      if (open >= maxOpenExports)
        throw new GraftError(
          'too_many_exports',
          `This team has ${open} exports that wait or are being written, and ${maxOpenExports} is the limit; try again when one has ended, or cancel one.`,
          { param: null },
        );
      if (limitsStorage(quota, 'exports'))
        await checkStorageQuota(tx, teamId, quota, { bytes: reservedBytes, kind: 'exports' });
      const row = await tx.adapterExport.create({
        data: {
          id: newId('export'),
          teamId,
          versionId,
          keyId: by.keyId,
          format,
          options: json(options),
          fingerprint,
          reservedBytes,
          keep,
        },
      });
      const detail = { version: versionId, format, options };
      await insertAudit(tx, teamId, by, { action: 'export.create', target: row.id, detail });
      return { made: exportOf(row), created: true };
    },
    name,
  );
}

/** Locks the version, so that a concurrent deletion waits until the export exists. */
async function holdVersion(tx: Transaction, teamId: string, id: string): Promise<void> {
  const found = await tx.$queryRaw<object[]>`
    SELECT 1 FROM adapter_versions WHERE team_id = ${teamId} AND id = ${id} AND deleted_at IS NULL FOR SHARE NOWAIT`;
  if (found.length > 0) return;
  throw new GraftError('adapter_version_not_found', 'The version was deleted.', { param: 'version' });
}

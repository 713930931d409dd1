import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import type { ArtifactStore } from '../storage/artifact-store.ts';

const batch = 200;

/** Removes exports whose time is over and that no publication waits for, with their files. Safe to run concurrently. Returns their number. */
export async function expireExports(
  services: Database & { exports: Pick<ArtifactStore, 'remove'>; log: Logger },
): Promise<number> {
  const { rows } = await services.sql.query<{ id: string; artifact: string | null }>(
    `DELETE FROM adapter_exports WHERE id IN (SELECT id FROM adapter_exports
       WHERE expires_at <= now() AND NOT keep AND status NOT IN ('queued', 'running')
         AND NOT EXISTS (SELECT 1 FROM publications WHERE publications.export_id = adapter_exports.id
           AND publications.status IN ('queued', 'running'))
       ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id, artifact`,
    [batch],
  );
  for (const { id, artifact } of rows) {
    if (artifact === null) continue;
    // The garbage collector removes it later.
    await services.exports.remove(artifact).catch((err: unknown) => {
      services.log.warn({ err, exportId: id }, 'the files of an expired export could not be removed');
    });
  }
  return rows.length;
}

import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import type { FileStore } from '../storage/file-store.ts';
import { changeUpload, endUpload, removeParts } from './upload-records.ts';

/** Looked at in one pass. */
const batch = 500;
/** Days that an upload which is over can still be looked at. */
const keptDays = 30;

/**
 * pending → expired for uploads whose time is over and that nobody puts together now, whose parts go; forgets uploads that were
 * over a month ago, and bytes that were being received by a process that has died. Safe beside itself. Answers how many expired.
 */
export async function expireUploads(services: Database & { files: FileStore; log: Logger }): Promise<number> {
  const { sql } = services;
  const { rows } = await sql.query<{ teamId: string; id: string }>(
    `SELECT team_id AS "teamId", id FROM uploads
     WHERE status = 'pending' AND expires_at <= now() AND (claim IS NULL OR claim_until <= now())
     ORDER BY expires_at LIMIT $1`,
    [batch],
  );
  let expired = 0;
  for (const { teamId, id } of rows) {
    try {
      const paths = await changeUpload(services, teamId, id, async (tx) => {
        // Somebody may have claimed, cancelled or completed it since.
        const [due] = await tx.$queryRaw<object[]>`
          SELECT 1 FROM uploads WHERE team_id = ${teamId} AND id = ${id} AND status = 'pending'
            AND expires_at <= now() AND (claim IS NULL OR claim_until <= now())`;
        return due ? await endUpload(tx, teamId, id, 'expired') : null;
      });
      if (!paths) continue;
      expired += 1;
      await removeParts(services, paths);
    } catch (err) {
      // One that cannot be changed holds up no other.
      services.log.warn({ err, uploadId: id }, 'an upload could not be expired');
    }
  }
  await sql.query('DELETE FROM incoming_bytes WHERE expires_at <= now()');
  await sql.query(
    `DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE status <> 'pending'
       AND ended_at < now() - make_interval(days => $1) LIMIT $2)`,
    [keptDays, batch],
  );
  return expired;
}

import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import type { FileStore } from '../storage/file-store.ts';
import { changeUpload, endUpload, removeParts } from './upload-records.ts';

const batch = 500;
/** Days for which a finished upload can still be read. */
const keptDays = 30;

/**
 * Expires pending uploads whose time is over and that no process is assembling, and removes their parts. Deletes uploads that ended more
 * than a month ago, and counts of incoming bytes whose process died. Safe to run concurrently. Returns the number of expired uploads.
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
        // Another request may have claimed, cancelled or completed it since.
        const [due] = await tx.$queryRaw<object[]>`
          SELECT 1 FROM uploads WHERE team_id = ${teamId} AND id = ${id} AND status = 'pending'
            AND expires_at <= now() AND (claim IS NULL OR claim_until <= now())`;
        return due ? await endUpload(tx, teamId, id, 'expired') : null;
      });
      if (!paths) continue;
      expired += 1;
      await removeParts(services, paths);
    } catch (err) {
      // An upload that cannot be changed does not block the others.
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

/** Assembles the parts of an upload: one process claims it, renews the claim, and writes only while it holds it. */
import { GraftError } from '@graft/peft-core/config';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { type FileRecord, insertFile, type NewFile } from '../files/file-records.ts';
import { newId } from '../ids.ts';
import type { FileStore } from '../storage/file-store.ts';
import { digestOfParts, partOf, type Upload, type UploadPart, uploadOf, uploadOver } from './upload.ts';
import { changeUpload, removeParts, takeParts } from './upload-records.ts';

/** The right to assemble one upload. */
export interface UploadClaim {
  teamId: string;
  uploadId: string;
  /** Unique. */
  holder: string;
}

/** Seconds by Postgres's clock after which a claim that is not renewed expires. */
export const claimSeconds = 30;

type ClaimAnswer =
  /** The caller holds the claim; the parts are in the order of the file, possibly with repetitions. */
  | { kind: 'claimed'; upload: Upload; parts: UploadPart[] }
  /** The same completion was already done. */
  | { kind: 'completed'; upload: Upload }
  /** Another process holds the claim. */
  | { kind: 'busy' };

/**
 * Claims an upload. Null: the team has no such upload. Throws GraftError `invalid_upload_state`, `part_not_found` for an id that is not a
 * part of this upload, `parts_incomplete` if the parts do not have the announced number of bytes.
 */
export async function claimUpload(
  db: Database,
  { teamId, uploadId, holder }: UploadClaim,
  partIds: readonly string[],
): Promise<ClaimAnswer | null> {
  return await changeUpload(db, teamId, uploadId, async (tx, row): Promise<ClaimAnswer> => {
    const upload = uploadOf(row);
    if (row.completedWith !== null && row.completedWith === digestOfParts(partIds))
      return { kind: 'completed', upload };
    if (upload.status !== 'pending') throw uploadOver(upload.status);
    const found = await tx.uploadPart.findMany({ where: { teamId, uploadId, id: { in: [...partIds] } } });
    const parts = new Map(found.map((part) => [part.id, partOf(part)]));
    const ordered = partIds.map((id) => {
      const part = parts.get(id);
      if (part) return part;
      throw new GraftError('part_not_found', `No such part of this upload: ${id}`, { param: 'part_ids' });
    });
    const bytes = ordered.reduce((sum, part) => sum + part.bytes, 0);
    if (bytes !== upload.bytes) {
      throw new GraftError(
        'parts_incomplete',
        `These parts have ${bytes} bytes together, but ${upload.bytes} were announced.`,
        { param: 'part_ids' },
      );
    }
    const claimed = await tx.$executeRaw`
      UPDATE uploads SET claim = ${holder}, claim_until = now() + make_interval(secs => ${claimSeconds})
      WHERE team_id = ${teamId} AND id = ${uploadId} AND status = 'pending'
        AND (claim IS NULL OR claim_until <= now())`;
    return claimed === 1 ? { kind: 'claimed', upload, parts: ordered } : { kind: 'busy' };
  });
}

/** Renews the claim. Returns false if the upload was cancelled or another process has the claim. */
export async function renewClaim({ sql }: Database, claim: UploadClaim): Promise<boolean> {
  const { rowCount } = await sql.query(
    `UPDATE uploads SET claim_until = now() + make_interval(secs => $4)
     WHERE team_id = $1 AND id = $2 AND claim = $3 AND status = 'pending'`,
    [claim.teamId, claim.uploadId, claim.holder, claimSeconds],
  );
  return rowCount === 1;
}

/** Releases the claim; the upload stays pending for another try. */
export async function releaseClaim({ db }: Database, claim: UploadClaim): Promise<void> {
  const { teamId, uploadId: id, holder } = claim;
  const free = { claim: null, claimUntil: null };
  await db.upload.updateMany({ where: { teamId, id, claim: holder, status: 'pending' }, data: free });
}

/**
 * Changes the state from pending to completed, and inserts the file's row in the same transaction. Null: the claim is lost. After an error
 * for which `isDatabaseUnavailable` holds, the outcome is unknown; completing again finds it.
 */
export async function finishUpload(
  db: Database & { files: FileStore },
  { teamId, uploadId, holder }: UploadClaim,
  partIds: readonly string[],
  file: NewFile,
): Promise<{ upload: Upload; file: FileRecord } | null> {
  const fileId = newId('file');
  const done = await inTransaction(db, async (tx) => {
    const count = await tx.$executeRaw`
      UPDATE uploads SET status = 'completed', file_id = ${fileId}, completed_with = ${digestOfParts(partIds)},
        claim = NULL, claim_until = NULL, ended_at = now()
      WHERE team_id = ${teamId} AND id = ${uploadId} AND claim = ${holder} AND status = 'pending'`;
    if (count === 0) return null;
    const created = await insertFile(tx, teamId, fileId, file);
    const paths = await takeParts(tx, teamId, uploadId);
    const row = await tx.upload.findFirstOrThrow({ where: { teamId, id: uploadId } });
    return { upload: uploadOf(row), file: created, paths };
  });
  if (!done) return null;
  await removeParts(db, done.paths);
  return { upload: done.upload, file: done.file };
}

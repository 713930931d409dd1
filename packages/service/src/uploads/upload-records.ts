import { GraftError } from '@graft/peft-core/config';
import { maxParts } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inRowTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import { lockName } from '../database/wait-for-row.ts';
import type { Upload as UploadRow } from '../generated/client.ts';
import { newId } from '../ids.ts';
import type { FileStore } from '../storage/file-store.ts';
import { readQuota } from '../teams/team-quota.ts';
import { checkStorageQuota, type IncomingBytes, inQuota, limitsStorage } from '../teams/within-quota.ts';
import { partOf, type Upload, type UploadPart, uploadOf, uploadOver } from './upload.ts';

export type NewUpload = Pick<Upload, 'filename' | 'mimeType' | 'bytes'> & {
  keyId: string | null;
  /** Seconds until the upload expires. */
  seconds: number;
};

/**
 * Creates an upload, whose announced bytes count as stored from now on. Throws GraftError `too_many_uploads` if the team has `most` pending
 * uploads, or as many as its quota allows, exactly even for concurrent requests; QuotaExceeded if it announces too many bytes.
 */
export async function createUpload(
  db: Database,
  teamId: string,
  { seconds, keyId, filename, mimeType, bytes }: NewUpload,
  { most }: { most: number },
): Promise<Upload> {
  const quota = await readQuota(db, teamId);
  const limit = quota?.openUploads ?? most;
  return await inQuota(db, teamId, limitsStorage(quota, 'files'), async (tx) => {
    await lockName(tx, `graft:uploads:${teamId}`);
    const [open] = await tx.$queryRaw<{ count: number; minutes: number | null }[]>`
      SELECT count(*)::int AS count, ceil(extract(epoch FROM min(expires_at) - now()) / 60)::int AS minutes
      FROM uploads WHERE team_id = ${teamId} AND status = 'pending' AND expires_at > now()`;
    if (open!.count >= limit) {
      throw new GraftError(
        'too_many_uploads',
        `This team has ${open!.count} uploads open, and ${limit} is the limit: complete or cancel one; the oldest expires in ${open!.minutes} min.`,
        { param: null },
      );
    }
    if (limitsStorage(quota, 'files')) await checkStorageQuota(tx, teamId, quota, { bytes, kind: 'files' });
    const id = newId('upload');
    await tx.$executeRaw`
      INSERT INTO uploads (id, team_id, key_id, filename, purpose, mime_type, bytes, remaining_bytes, expires_at)
      VALUES (${id}, ${teamId}, ${keyId}, ${filename}, 'fine-tune', ${mimeType}, ${bytes}, ${bytes},
        now() + make_interval(secs => ${seconds}))`;
    return uploadOf(await tx.upload.findFirstOrThrow({ where: { teamId, id } }));
  });
}

export async function getUpload({ db }: Database, teamId: string, id: string): Promise<Upload | null> {
  const row = await db.upload.findFirst({ where: { teamId, id } });
  return row && uploadOf(row);
}

/** Lists uploads, newest first. Throws GraftError `invalid_cursor`. */
export async function listUploads(
  { db }: Database,
  teamId: string,
  options: PageOptions & { status?: Upload['status'] | undefined },
): Promise<Page<Upload>> {
  const { status } = options;
  const open = status === 'pending' ? { expiresAt: { gt: new Date() } } : {};
  const filter = status === undefined ? {} : { status, ...open };
  return await listRows(db.upload, options, { where: { teamId }, filter }, uploadOf);
}

/** Lists parts in the order in which they were received. Throws GraftError `invalid_cursor`. */
export async function listParts(
  { db }: Database,
  teamId: string,
  uploadId: string,
  options: PageOptions,
): Promise<Page<UploadPart>> {
  return await listRows(
    db.uploadPart,
    options,
    { where: { teamId, uploadId }, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] },
    partOf,
  );
}

/**
 * Inserts the row of a part whose bytes `FileStore.receive` has stored; `path` null: there was no space, so the bytes were only digested.
 * Sending the same bytes again returns the existing part with its path, and the caller removes the new copy. `incoming` holds the bytes as
 * counted so far. Null: the team has no such upload. Throws GraftError `invalid_upload_state`, `part_too_large`, `too_many_parts`, and
 * `resource_busy` if other incoming parts occupy the space.
 */
export async function addPart(
  db: Database,
  teamId: string,
  uploadId: string,
  { path, bytes, sha256 }: Pick<UploadPart, 'bytes' | 'sha256'> & { path: string | null },
  incoming?: Pick<IncomingBytes, 'settle'>,
): Promise<UploadPart | null> {
  return await changeUpload(db, teamId, uploadId, async (tx, upload) => {
    const where = { teamId, uploadId, sha256, bytes };
    const same = await tx.uploadPart.findFirst({ where });
    const { status } = uploadOf(upload);
    if (status !== 'pending') throw uploadOver(status);
    if (same) return partOf(same);
    if (bytes > upload.remainingBytes) {
      throw new GraftError(
        'part_too_large',
        `The part has ${bytes} bytes, but of the ${upload.bytes} that were announced only ${upload.remainingBytes} are left.`,
        { param: 'data' },
      );
    }
    if (upload.partCount >= maxParts) {
      throw new GraftError(
        'too_many_parts',
        `An upload has at most ${maxParts} parts; create another one and send larger parts.`,
        { param: 'data' },
      );
    }
    if (path === null) {
      throw new GraftError(
        'resource_busy',
        `Other parts of this upload are being received, and with this one they have more than the ${upload.bytes} bytes that were announced; send it again when they are there.`,
        { param: 'data' },
      );
    }
    await incoming?.settle(tx);
    await tx.upload.update({
      where: { teamId, id: uploadId },
      data: { remainingBytes: { decrement: bytes }, partCount: { increment: 1 } },
    });
    return partOf(await tx.uploadPart.create({ data: { id: newId('part'), ...where, path } }));
  });
}

/**
 * Cancels a pending upload, even while it is being assembled, which then ends without a file. An upload that is already cancelled is
 * returned unchanged. Null: the team has no such upload. Throws GraftError `invalid_upload_state`.
 */
export async function cancelUpload(
  db: Database & { files: FileStore },
  teamId: string,
  id: string,
  by: Actor,
): Promise<Upload | null> {
  const cancelled = await changeUpload(db, teamId, id, async (tx, upload) => {
    const { status } = uploadOf(upload);
    if (status === 'cancelled') return { upload: uploadOf(upload), paths: [] };
    if (status !== 'pending') throw uploadOver(status);
    const paths = await endUpload(tx, teamId, id, 'cancelled');
    await insertAudit(tx, teamId, by, { action: 'upload.cancel', target: id });
    return { upload: uploadOf({ ...upload, status: 'cancelled' }), paths };
  });
  if (!cancelled) return null;
  await removeParts(db, cancelled.paths);
  return cancelled.upload;
}

/** Runs `work` in a transaction that locks the upload's row. Null: the team has no such upload. */
export async function changeUpload<T>(
  db: Pick<Database, 'db'>,
  teamId: string,
  id: string,
  work: (tx: Transaction, upload: UploadRow) => Promise<T>,
): Promise<T | null> {
  return await inRowTransaction(db, `upload ${teamId} ${id}`, async (tx) => {
    const found = await tx.$queryRaw<object[]>`
        SELECT 1 FROM uploads WHERE team_id = ${teamId} AND id = ${id} FOR UPDATE NOWAIT`;
    if (found.length === 0) return null;
    return await work(tx, await tx.upload.findFirstOrThrow({ where: { teamId, id } }));
  });
}

/** Ends an upload without a file and deletes the rows of its parts. Returns the paths of their bytes. */
export async function endUpload(
  tx: Transaction,
  teamId: string,
  id: string,
  status: 'cancelled' | 'expired',
): Promise<string[]> {
  const finished = { status, claim: null, claimUntil: null, finishedAt: new Date() };
  await tx.upload.update({ where: { teamId, id }, data: finished });
  return await takeParts(tx, teamId, id);
}

/** Deletes the rows of an upload's parts, and returns the paths of their bytes. */
export async function takeParts(tx: Transaction, teamId: string, uploadId: string): Promise<string[]> {
  const where = { teamId, uploadId };
  const parts = await tx.uploadPart.findMany({ where, select: { path: true } });
  await tx.uploadPart.deleteMany({ where });
  return parts.map(({ path }) => path);
}

/** Removes the bytes of parts. If that fails, the collector removes them a day later. */
export async function removeParts({ files }: { files: FileStore }, paths: readonly string[]): Promise<void> {
  for (const path of paths) await files.remove(path).catch(() => {});
}

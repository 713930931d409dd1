import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '@graft/peft-core/config';
import type { ColumnMapping, FormatName } from '@graft/peft-core/examples';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, json, type Transaction } from '../database/database.ts';
import { isDatabaseUnavailable } from '../database/database-unavailable.ts';
import { inRowTransaction } from '../database/in-transaction.ts';
import { createdIn, listRows, type Page, type PageOptions, type TimeSpan } from '../database/read-page.ts';
import type { File as FileRow } from '../generated/client.ts';
import { newId } from '../ids.ts';
import type { FileStore } from '../storage/file-store.ts';
import { readQuota } from '../teams/team-quota.ts';
import type { IncomingBytes } from '../teams/within-quota.ts';
import { checkStorageQuota, inQuota, limitsStorage } from '../teams/within-quota.ts';

export interface FileRecord {
  id: string;
  teamId: string;
  filename: string;
  purpose: 'fine-tune' | 'fine-tune-results';
  bytes: number;
  sha256: string;
  /** Key in the file store. */
  path: string;
  status: 'uploaded' | 'processed' | 'error';
  format: FormatName | null;
  /** Number of lines that hold an example. */
  examples: number | null;
  /** Total characters of the text in the examples on which a language model is trained; null: not counted. */
  answerCharacters: number | null;
  /** System message that every example begins with; null: they differ, have none, or were not checked. */
  systemPrompt: string | null;
  /** The column that each field is in, as given with the upload; null: as recognised. */
  columns: ColumnMapping | null;
  createdAt: Date;
  /** When the stored bytes were last verified; null if never. */
  verifiedAt: Date | null;
  /** When the stored bytes were found not to match `sha256`; null if no damage is known. */
  corruptAt: Date | null;
}

export type NewFile = Pick<
  FileRecord,
  'filename' | 'purpose' | 'bytes' | 'sha256' | 'path' | 'status' | 'format' | 'examples'
> &
  Partial<Pick<FileRecord, 'answerCharacters' | 'systemPrompt' | 'columns'>> &
  Actor;

function fileOf({ bytes, answerCharacters, keyId: _, ...columns }: FileRow): FileRecord {
  return {
    ...(columns as Omit<FileRecord, 'bytes' | 'answerCharacters'>),
    // Prisma reads int8 as bigint; uploads are far smaller than 2^53 bytes.
    bytes: Number(bytes),
    answerCharacters: answerCharacters === null ? null : Number(answerCharacters),
  };
}

/** Pauses in milliseconds before retrying an insert whose COMMIT was not acknowledged. */
const retryPauses = [100, 1000];

/**
 * Inserts the row of an upload that `FileStore.receive` has finished. If Postgres becomes unavailable meanwhile, retries with the same id
 * and finds the row if an earlier try was committed after all. After an error for which `isDatabaseUnavailable` holds the row may or may not
 * exist; after any other error it does not. `incoming` holds the bytes as counted so far. Throws QuotaExceeded.
 */
export async function createFile(
  db: Database,
  teamId: string,
  file: NewFile,
  incoming?: Pick<IncomingBytes, 'settle'>,
): Promise<FileRecord> {
  const id = newId('file');
  for (let attempt = 0; ; attempt++) {
    try {
      const quota = await readQuota(db, teamId);
      return await inQuota(db, teamId, limitsStorage(quota, 'files'), async (tx) => {
        await incoming?.settle(tx);
        if (limitsStorage(quota, 'files'))
          await checkStorageQuota(tx, teamId, quota, { bytes: file.bytes, kind: 'files' });
        return await insertFile(tx, teamId, id, file);
      });
    } catch (error) {
      // The earlier try was committed: the insert waited for it.
      if (attempt > 0 && (error as { code?: unknown }).code === 'P2002') {
        const made = await getFile(db, teamId, id);
        if (made) return made;
      }
      if (!isDatabaseUnavailable(error) || attempt === retryPauses.length) throw error;
      await sleep(retryPauses[attempt]);
    }
  }
}

/** Inserts the row and its audit entry in the caller's transaction. */
export async function insertFile(
  tx: Transaction,
  teamId: string,
  id: string,
  file: NewFile,
): Promise<FileRecord> {
  const { filename, purpose, bytes, sha256, path, status, format, examples, keyId } = file;
  const { answerCharacters, systemPrompt, columns } = file;
  const row = await tx.file.create({
    data: {
      id,
      teamId,
      keyId,
      filename,
      purpose,
      bytes,
      sha256,
      path,
      status,
      format,
      examples,
      ...(answerCharacters !== undefined && { answerCharacters }),
      ...(systemPrompt !== undefined && { systemPrompt }),
      ...(columns && { columns: json(columns) }),
    },
  });
  await insertAudit(tx, teamId, file, { action: 'file.create', target: row.id });
  return fileOf(row);
}

export async function getFile({ db }: Database, teamId: string, id: string): Promise<FileRecord | null> {
  const row = await db.file.findFirst({ where: { teamId, id } });
  return row && fileOf(row);
}

/** Finds any of the team's files that has these bytes. */
export async function findFileByDigest(
  { db }: Database,
  teamId: string,
  sha256: string,
): Promise<FileRecord | null> {
  const row = await db.file.findFirst({ where: { teamId, sha256, purpose: 'fine-tune' } });
  return row && fileOf(row);
}

/** Lists files. Throws GraftError `invalid_cursor`. */
export async function listFiles(
  { db }: Database,
  teamId: string,
  options: PageOptions & {
    purpose?: string | undefined;
    filename?: string | undefined;
    sha256?: string | undefined;
    created?: TimeSpan;
    order: 'asc' | 'desc';
  },
): Promise<Page<FileRecord>> {
  const { purpose, filename, sha256, order } = options;
  return await listRows(
    db.file,
    options,
    {
      where: { teamId },
      filter: {
        ...(purpose !== undefined && { purpose }),
        ...(filename !== undefined && { filename }),
        ...(sha256 !== undefined && { sha256 }),
        ...createdIn(options.created),
      },
      orderBy: [{ createdAt: order }, { id: order }],
    },
    fileOf,
  );
}

/**
 * Deletes the row, then the bytes. Returns false if the team has no such file. Throws GraftError `file_in_use` while an unfinished job
 * needs the file, and an error for which `isRowLocked` holds if another transaction locks the file for two seconds.
 */
export async function deleteFile(
  db: Database & { files: FileStore },
  teamId: string,
  id: string,
  by: Actor,
): Promise<boolean> {
  const path = await inRowTransaction(
    db,
    `file ${teamId} ${id}`,
    async (tx) => await deleteRow(tx, teamId, id, by),
  );
  if (path === null) return false;
  // If removing fails, the collector removes the bytes a day later.
  await db.files.remove(path).catch(() => {});
  return true;
}

/** Deletes the row and returns the path of its bytes. */
async function deleteRow(tx: Transaction, teamId: string, id: string, by: Actor): Promise<string | null> {
  const file = await tx.file.findFirst({ where: { teamId, id }, select: { path: true, sha256: true } });
  // Deletes before looking for jobs: a job that is being created with the file holds a lock, so this waits until that job is visible.
  const { count } = await tx.file.deleteMany({ where: { teamId, id } });
  if (!file || count === 0) return null;
  const user = await tx.job.findFirst({
    where: {
      teamId,
      OR: [{ trainingFileId: id }, { validationFileId: id }, { dataFileIds: { has: id } }],
      state: { notIn: ['succeeded', 'failed', 'cancelled'] },
    },
    select: { id: true },
  });
  if (user) {
    throw new GraftError('file_in_use', `The file is needed by ${user.id}; cancel that job first.`, {
      param: null,
    });
  }
  // Reports quote the file, so they are deleted with the last file that has these bytes.
  const { sha256 } = file;
  if ((await tx.file.count({ where: { teamId, sha256 } })) === 0)
    await tx.fileReport.deleteMany({ where: { teamId, sha256 } });
  await insertAudit(tx, teamId, by, { action: 'file.delete', target: id });
  return file.path;
}

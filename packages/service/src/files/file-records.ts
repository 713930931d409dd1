import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '@graft/peft-core/config';
import type { FormatName } from '@graft/peft-core/examples';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { isDatabaseAway } from '../database/database-away.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { createdIn, type Page, readPage, type TimeSpan } from '../database/read-page.ts';
import { waitForRow } from '../database/wait-for-row.ts';
import type { File as FileRow } from '../generated/client.ts';
import { newId } from '../ids.ts';
import type { FileStore } from '../storage/file-store.ts';
import { readQuota } from '../teams/team-quota.ts';
import type { IncomingBytes } from '../teams/within-quota.ts';
import { admitBytes, inQuota } from '../teams/within-quota.ts';

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
  /** Lines that hold an example. */
  examples: number | null;
  /** Of all that a language model learns to write in them; null: not counted. */
  answerCharacters: number | null;
  /** The system message that every example begins with; null: they differ, have none, or it was not looked for. */
  systemPrompt: string | null;
  createdAt: Date;
  /** When its stored bytes were last read through; null: never. */
  verifiedAt: Date | null;
  /** When they were found not to have this digest; null: they have it, as far as anybody knows. */
  corruptAt: Date | null;
}

export type NewFile = Pick<
  FileRecord,
  'filename' | 'purpose' | 'bytes' | 'sha256' | 'path' | 'status' | 'format' | 'examples'
> &
  Partial<Pick<FileRecord, 'answerCharacters' | 'systemPrompt'>> &
  Actor;

function fileOf({ bytes, answerCharacters, keyId: _, ...columns }: FileRow): FileRecord {
  return {
    ...(columns as Omit<FileRecord, 'bytes' | 'answerCharacters'>),
    // Prisma reads int8 as bigint; no upload comes near 2^53 bytes.
    bytes: Number(bytes),
    answerCharacters: answerCharacters === null ? null : Number(answerCharacters),
  };
}

/** Pauses, in milliseconds, between tries to make a row whose COMMIT was not answered. */
const retryPauses = [100, 1000];

/**
 * The row of an upload that `FileStore.receive` has finished. When Postgres goes away in the middle, the same row is tried again:
 * a try that was committed after all is found. An error for which `isDatabaseAway` holds leaves open whether there is a
 * row; any other says that there is none. `incoming`: the bytes as they were counted until now. Throws QuotaExceeded.
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
      return await inQuota(db, teamId, (quota?.storedBytes ?? null) !== null, async (tx) => {
        await incoming?.settle(tx);
        if (quota) await admitBytes(tx, teamId, quota, file.bytes);
        return await insertFile(tx, teamId, id, file);
      });
    } catch (error) {
      // While an earlier try is still being committed, this one waited for it.
      if (attempt > 0 && (error as { code?: unknown }).code === 'P2002') {
        const made = await getFile(db, teamId, id);
        if (made) return made;
      }
      if (!isDatabaseAway(error) || attempt === retryPauses.length) throw error;
      await sleep(retryPauses[attempt]);
    }
  }
}

/** The row and its audit, in a transaction of the caller's. */
export async function insertFile(
  tx: Transaction,
  teamId: string,
  id: string,
  file: NewFile,
): Promise<FileRecord> {
  const { filename, purpose, bytes, sha256, path, status, format, examples, keyId } = file;
  const { answerCharacters, systemPrompt } = file;
  const row = await tx.file.create({
    data: {
      ...{ id, teamId, keyId, filename, purpose, bytes, sha256, path, status, format, examples },
      ...(answerCharacters !== undefined && { answerCharacters }),
      ...(systemPrompt !== undefined && { systemPrompt }),
    },
  });
  await insertAudit(tx, teamId, file, { action: 'file.create', target: row.id });
  return fileOf(row);
}

/** Null: no such file in this team. */
export async function getFile({ db }: Database, teamId: string, id: string): Promise<FileRecord | null> {
  const row = await db.file.findFirst({ where: { teamId, id } });
  return row && fileOf(row);
}

/** Any of the team's files that has these bytes. */
export async function findFileByDigest(
  { db }: Database,
  teamId: string,
  sha256: string,
): Promise<FileRecord | null> {
  const row = await db.file.findFirst({ where: { teamId, sha256, purpose: 'fine-tune' } });
  return row && fileOf(row);
}

/** Throws GraftError `invalid_cursor`. */
export async function listFiles(
  { db }: Database,
  teamId: string,
  options: {
    purpose?: string | undefined;
    filename?: string | undefined;
    created?: TimeSpan;
    order: 'asc' | 'desc';
    after?: string | undefined;
    limit: number;
  },
): Promise<Page<FileRecord>> {
  const { purpose, filename, order } = options;
  return await readPage(options, {
    has: async (id) => await db.file.count({ where: { teamId, id } }),
    read: async (page) =>
      await db.file.findMany({
        where: {
          teamId,
          ...(purpose !== undefined && { purpose }),
          ...(filename !== undefined && { filename }),
          ...createdIn(options.created),
        },
        orderBy: [{ createdAt: order }, { id: order }],
        ...page,
      }),
    toRecord: fileOf,
  });
}

/**
 * Removes the row, then the bytes. False: no such file in this team. Throws GraftError `file_in_use` while a job that
 * is not finished needs it; what `isRowLocked` knows when another transaction holds the file for two seconds.
 */
export async function deleteFile(
  db: Database & { files: FileStore },
  teamId: string,
  id: string,
  by: Actor,
): Promise<boolean> {
  const path = await waitForRow(`file ${teamId} ${id}`, async () =>
    inTransaction(db, async (tx) => await deleteRow(tx, teamId, id, by)),
  );
  if (path === null) return false;
  // What cannot be removed now is collected a day later.
  await db.files.remove(path).catch(() => {});
  return true;
}

/** Answers where its bytes are. */
async function deleteRow(tx: Transaction, teamId: string, id: string, by: Actor): Promise<string | null> {
  const file = await tx.file.findFirst({ where: { teamId, id }, select: { path: true, sha256: true } });
  // Deletes before it looks for jobs: a job that is being made with the file holds this back until it can be seen.
  const { count } = await tx.file.deleteMany({ where: { teamId, id } });
  if (!file || count === 0) return null;
  const user = await tx.job.findFirst({
    where: {
      teamId,
      OR: [{ trainingFileId: id }, { validationFileId: id }],
      state: { notIn: ['succeeded', 'failed', 'cancelled'] },
    },
    select: { id: true },
  });
  if (user) {
    throw new GraftError('file_in_use', `The file is needed by ${user.id}; cancel that job first.`, {
      param: null,
    });
  }
  // Reports quote the file, and go with the last one of these bytes.
  const { sha256 } = file;
  if ((await tx.file.count({ where: { teamId, sha256 } })) === 0)
    await tx.fileReport.deleteMany({ where: { teamId, sha256 } });
  await insertAudit(tx, teamId, by, { action: 'file.delete', target: id });
  return file.path;
}

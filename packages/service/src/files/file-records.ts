import { GraftError } from '@graft/peft-core/config';
import type { DatasetFormat } from '@graft/peft-core/examples';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { type Page, readPage } from '../database/read-page.ts';
import { newId } from '../ids.ts';
import type { FileStore } from '../storage/file-store.ts';

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
  format: DatasetFormat | null;
  /** Lines that hold an example. */
  examples: number | null;
  createdAt: Date;
}

export type NewFile = Pick<
  FileRecord,
  'filename' | 'purpose' | 'bytes' | 'sha256' | 'path' | 'status' | 'format' | 'examples'
> & { keyId: string | null };

const columns =
  'id, team_id AS "teamId", filename, purpose, bytes::float8 AS bytes, sha256, path, status, format, examples, ' +
  'created_at AS "createdAt"';

/** The row of an upload that `FileStore.receive` has finished. */
export async function createFile(db: Database, teamId: string, file: NewFile): Promise<FileRecord> {
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<FileRecord>(
      `INSERT INTO files (id, team_id, filename, purpose, bytes, sha256, path, status, format, examples)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING ${columns}`,
      [
        newId('file'),
        teamId,
        file.filename,
        file.purpose,
        file.bytes,
        file.sha256,
        file.path,
        file.status,
        file.format,
        file.examples,
      ],
    );
    const record = rows[0]!;
    await insertAudit(tx, teamId, { keyId: file.keyId, action: 'file.create', target: record.id });
    return record;
  });
}

/** Null: no such file in this team. */
export async function getFile(db: Database, teamId: string, id: string): Promise<FileRecord | null> {
  const { rows } = await db.sql.query<FileRecord>(
    `SELECT ${columns} FROM files WHERE team_id = $1 AND id = $2`,
    [teamId, id],
  );
  return rows[0] ?? null;
}

/** Throws GraftError `invalid_cursor`. */
export async function listFiles(
  db: Database,
  teamId: string,
  options: { purpose?: string | undefined; order: 'asc' | 'desc'; after?: string | undefined; limit: number },
): Promise<Page<FileRecord>> {
  const filters = options.purpose === undefined ? [] : [{ sql: 'purpose =', value: options.purpose }];
  return await readPage<FileRecord>(db, teamId, { table: 'files', columns, filters, ...options });
}

/**
 * Removes the row, then the bytes. False: no such file in this team. Throws GraftError `file_in_use` while a job that
 * is not finished needs it.
 */
export async function deleteFile(
  db: Database & { files: FileStore },
  teamId: string,
  id: string,
  by: { keyId: string | null },
): Promise<boolean> {
  const path = await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<{ path: string }>(
      'DELETE FROM files WHERE team_id = $1 AND id = $2 RETURNING path',
      [teamId, id],
    );
    if (!rows[0]) return null;
    const { rows: users } = await tx.query<{ id: string }>(
      `SELECT id FROM jobs WHERE team_id = $1 AND $2 IN (training_file_id, validation_file_id)
         AND state NOT IN ('succeeded', 'failed', 'cancelled') LIMIT 1`,
      [teamId, id],
    );
    if (users[0]) {
      throw new GraftError('file_in_use', `The file is needed by ${users[0].id}; cancel that job first.`, {
        param: null,
      });
    }
    await insertAudit(tx, teamId, { keyId: by.keyId, action: 'file.delete', target: id });
    return rows[0].path;
  });
  if (path === null) return false;
  await db.files.remove(path);
  return true;
}

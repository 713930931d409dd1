import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { type Requester, requesterOf } from './actor.ts';
import { insertAudit } from './insert-audit.ts';

/** Bytes that a request is about to receive. */
export interface AuditedDownload {
  action: 'file.download' | 'adapter.download' | 'checkpoint.download' | 'export.download';
  /** Id of the file, version, checkpoint or export. */
  target: string;
  /** File of an export; null: all of them. */
  path: string | null;
  bytes: number;
  sha256: string;
}

/** Milliseconds for which the same bytes to the same actor are one entry: clients fetch ranges, and try again. */
const entryMs = 3600_000;
/** Entries that a process remembers, about 300 bytes each; beyond it the oldest is written again when it recurs. */
const remembered = 50_000;

/**
 * Returns a function that resolves when a download is in the audit log: once an hour for the same bytes and actor, by each process. It
 * rejects if the entry cannot be written; then no byte may be sent.
 */
export function createDownloadAudit(
  db: Pick<Database, 'db'>,
  now = Date.now,
): (teamId: string, by: Requester, download: AuditedDownload) => Promise<void> {
  const written = new Map<string, { until: number; entry: Promise<void> }>();

  return async (teamId, by, { action, target, path, bytes, sha256 }) => {
    const actor = requesterOf(by);
    const key = [teamId, actor.keyId, actor.personId, action, target, path, sha256].join('\n');
    const before = written.get(key);
    if (before && before.until > now()) return await before.entry;
    const detail = { bytes, sha256, ...(path !== null && { path }) };
    const entry = inTransaction(
      db,
      async (tx) => await insertAudit(tx, teamId, actor, { action, target, detail }),
    );
    written.delete(key);
    written.set(key, { until: now() + entryMs, entry });
    if (written.size > remembered) written.delete(written.keys().next().value!);
    try {
      await entry;
    } catch (error) {
      if (written.get(key)?.entry === entry) written.delete(key);
      throw error;
    }
  };
}

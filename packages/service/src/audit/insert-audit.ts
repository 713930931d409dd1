import type pg from 'pg';

export interface AuditEntry {
  /** The API key that acted; null for the operator. */
  keyId: string | null;
  /** `<resource>.<verb>`, e.g. `job.cancel`. */
  action: string;
  /** Id of what it was done to. */
  target: string;
  detail?: Record<string, unknown>;
}

/** Writes who did what to what, in the transaction of the deed when one is given. */
export async function insertAudit(
  tx: pg.Pool | pg.PoolClient,
  teamId: string,
  entry: AuditEntry,
): Promise<void> {
  await tx.query(
    'INSERT INTO audit_log (team_id, key_id, action, target, detail) VALUES ($1, $2, $3, $4, $5)',
    [teamId, entry.keyId, entry.action, entry.target, entry.detail ? JSON.stringify(entry.detail) : null],
  );
}

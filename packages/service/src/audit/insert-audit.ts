import { json, type Transaction } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';

export interface AuditEntry {
  /** The API key that acted; null for the operator. */
  keyId: string | null;
  /** `<resource>.<verb>`, e.g. `job.cancel`. */
  action: string;
  /** Id of what it was done to. */
  target: string;
  detail?: Record<string, unknown>;
}

/** Writes who did what to what, in the transaction of the deed. */
export async function insertAudit(
  tx: Transaction,
  teamId: string,
  { detail, ...entry }: AuditEntry,
): Promise<void> {
  await tx.auditEntry.create({
    data: { teamId, ...entry, detail: detail ? json(detail) : Prisma.DbNull },
    select: { id: true },
  });
}

import { json, type Transaction } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';

export interface AuditEntry {
  /** The API key that acted, of a team or an operator; null for a person without one, and for `graft admin`. */
  keyId: string | null;
  /** The person who acted, by a key or a session. */
  personId?: string | null;
  /** `<resource>.<verb>`, e.g. `job.cancel`. */
  action: string;
  /** Id of what it was done to. */
  target: string;
  detail?: Record<string, unknown>;
}

/** Writes who did what to what, in the transaction of the deed. `teamId` null: it concerns the service, not a team. */
export async function insertAudit(
  tx: Transaction,
  teamId: string | null,
  { detail, ...entry }: AuditEntry,
): Promise<void> {
  await tx.auditEntry.create({
    data: { teamId, ...entry, detail: detail ? json(detail) : Prisma.DbNull },
    select: { id: true },
  });
}

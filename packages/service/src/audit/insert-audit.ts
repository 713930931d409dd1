import { json, type Transaction } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import { type Actor, graftAdmin } from './actor.ts';

interface AuditEntry {
  /** `<resource>.<verb>`, e.g. `job.cancel`. */
  action: string;
  /** Id of the object of the action. */
  target: string;
  detail?: Record<string, unknown>;
}

/**
 * Writes an audit row in the transaction of the action. `teamId` null: the action concerns the service, not a team. `by` null:
 * `graft admin`. Nothing else writes audit rows (test/repository/audit-rule.test.ts), so every row has an actor.
 */
export async function insertAudit(
  tx: Transaction,
  teamId: string | null,
  by: Actor | null,
  { action, target, detail }: AuditEntry,
): Promise<void> {
  const actor = by ?? graftAdmin;
  const { keyId, personId = null } = actor;
  const system = 'system' in actor ? actor.system : null;
  // The types guarantee an actor; this check covers values that were cast.
  if (!keyId && !personId && !system) throw new Error(`${action} on ${target}: the audit row names no actor`);
  await tx.auditEntry.create({
    data: { teamId, keyId, personId, system, action, target, detail: detail ? json(detail) : Prisma.DbNull },
    select: { id: true },
  });
}

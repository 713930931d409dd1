import { GraftError } from '@graft/peft-core/config';
import type { Database } from '../database/database.ts';
import type { Page } from '../database/read-page.ts';
import type { AuditEntry, Prisma } from '../generated/client.ts';

export interface AuditRecord extends Omit<AuditEntry, 'id' | 'teamId' | 'sequence' | 'hash'> {
  /** Decimal; ids increase with time. */
  id: string;
  /** Position in the team's chain, from 1. */
  sequence: number;
  /** Hexadecimal SHA-256 of the previous hash and the content. */
  hash: string;
}

export interface AuditFilter {
  /** An action such as `job.cancel`, or a prefix followed by `*`: `job.*`. */
  action?: string | undefined;
  /** Id of the key or person, `graft_admin` or `graft`. */
  actor?: string | undefined;
  target?: string | undefined;
  /** Inclusive start and exclusive end. */
  since?: Date | undefined;
  until?: Date | undefined;
}

function whereOf(
  teamId: string,
  { action, actor, target, since, until }: AuditFilter,
): Prisma.AuditEntryWhereInput {
  return {
    teamId,
    ...(action === undefined
      ? {}
      : { action: action.endsWith('*') ? { startsWith: action.slice(0, -1) } : action }),
    ...(actor === undefined ? {} : { OR: [{ keyId: actor }, { personId: actor }, { system: actor }] }),
    ...(target === undefined ? {} : { target }),
    createdAt: { ...(since ? { gte: since } : {}), ...(until ? { lt: until } : {}) },
  };
}

const recordOf = ({ id, teamId: _, sequence, hash, ...row }: AuditEntry): AuditRecord => ({
  ...row,
  id: String(id),
  sequence: Number(sequence),
  hash: Buffer.from(hash ?? []).toString('hex'),
});

/** Lists entries, newest first. Throws GraftError `invalid_cursor`. */
export async function listAudit(
  { db }: Database,
  teamId: string,
  { after, limit, ...filter }: AuditFilter & { after?: string | undefined; limit: number },
): Promise<Page<AuditRecord>> {
  const where = { AND: [whereOf(teamId, filter), after === undefined ? {} : { id: { lt: parseId(after) } }] };
  const rows = await db.auditEntry.findMany({ where, orderBy: { id: 'desc' }, take: limit + 1 });
  return { data: rows.slice(0, limit).map(recordOf), hasMore: rows.length > limit };
}

const batch = 500;

/**
 * Yields at most `limit` entries after the entry `after`, oldest first, reading them on demand. Throws GraftError `invalid_cursor` before
 * the first entry.
 */
export function exportAudit(
  { db }: Database,
  teamId: string,
  { after, limit, ...filter }: AuditFilter & { after?: string | undefined; limit: number },
): AsyncGenerator<AuditRecord[]> {
  const first = after === undefined ? 0n : parseId(after);
  return (async function* () {
    for (let last = first, left = limit; left > 0; ) {
      const where = { AND: [whereOf(teamId, filter), { id: { gt: last } }] };
      const take = Math.min(batch, left);
      const rows = await db.auditEntry.findMany({ where, orderBy: { id: 'asc' }, take });
      if (rows.length > 0) yield rows.map(recordOf);
      if (rows.length < take) return;
      last = rows.at(-1)!.id;
      left -= rows.length;
    }
  })();
}

function parseId(text: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new GraftError('invalid_cursor', `No such object to list after: ${text}`, { param: 'after' });
}

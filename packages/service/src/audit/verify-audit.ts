import { createHash } from 'node:crypto';
import type { Database } from '../database/database.ts';

/** The last entry of a chain. */
export interface AuditHead {
  /** Team id; empty for the installation's chain. */
  chain: string;
  sequence: number;
  /** Hexadecimal. */
  hash: string;
}

/** Describes the first entry that is not as it was written. */
export interface AuditFault {
  sequence: number;
  /** Null if the entry is missing. */
  id: string | null;
  reason: 'missing' | 'changed' | 'unsealed' | 'head';
}

export interface AuditCheck {
  chain: string;
  /** Last valid entry; the next page starts after it. */
  last: { sequence: number; hash: string };
  /** True where the check reached the end of the chain or a fault. */
  done: boolean;
  fault: AuditFault | null;
}

/** Entries that one call checks, in about 10 ms. */
const pageSize = 1_000;

/**
 * Lists the chains by name, the installation's first. A chain whose head row was removed is listed from its entries, with sequence 0, so
 * that a check of all chains finds it.
 */
export async function listAuditHeads(
  { sql }: Pick<Database, 'sql'>,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<{ data: AuditHead[]; hasMore: boolean }> {
  const { rows } = await sql.query<AuditHead>(
    // One index lookup per chain, regardless of the number of its entries.
    `WITH RECURSIVE written AS (
       SELECT min(coalesce(team_id, '')) AS chain FROM audit_log
       UNION ALL SELECT (SELECT min(coalesce(team_id, '')) FROM audit_log WHERE coalesce(team_id, '') > written.chain)
       FROM written WHERE chain IS NOT NULL
     )
     SELECT chain, coalesce(sequence, 0)::float8 AS sequence, coalesce(encode(hash, 'hex'), '') AS hash
     FROM audit_chains FULL JOIN (SELECT chain FROM written WHERE chain IS NOT NULL) AS of_entries USING (chain)
     WHERE $1::text IS NULL OR chain COLLATE "C" > $1 ORDER BY chain COLLATE "C" LIMIT $2`,
    [after ?? null, limit + 1],
  );
  return { data: rows.slice(0, limit), hasMore: rows.length > limit };
}

/** Computes an entry's hash as documented in docs/decisions/0026. */
export function auditHash(previous: string, content: string): string {
  return createHash('sha256').update(`${previous}\n${content}`).digest('hex');
}

/**
 * Checks a page of a chain: the entries after `after` have consecutive numbers, and each hash covers the entry's content and the previous
 * hash. At the end of the chain, checks that its head row matches the last entry and that no entry is outside of the chain.
 */
export async function verifyAudit(
  { sql }: Pick<Database, 'sql'>,
  chain: string,
  { after = 0, limit = pageSize }: { after?: number; limit?: number } = {},
): Promise<AuditCheck> {
  const { rows } = await sql.query<{ id: string; sequence: number; hash: string; content: string }>(
    `SELECT id::text, sequence::float8 AS sequence, coalesce(encode(hash, 'hex'), '') AS hash,
       graft_audit_content(audit_log) AS content
     FROM audit_log WHERE coalesce(team_id, '') = $1 AND sequence >= $2 ORDER BY audit_log.sequence LIMIT $3`,
    [chain, Math.max(after, 1), limit + 1],
  );
  // A page that does not start at the chain's first entry begins with the entry before it.
  const before = after > 0 ? rows.shift() : undefined;
  const last = { sequence: after, hash: before?.hash ?? '' };
  const broken = (fault: AuditFault): AuditCheck => ({ chain, last, done: true, fault });
  if (after > 0 && before?.sequence !== after)
    return broken({ sequence: after, id: null, reason: 'missing' });
  for (const { id, sequence, hash, content } of rows.slice(0, limit)) {
    const wanted = last.sequence + 1;
    if (sequence !== wanted) return broken({ sequence: wanted, id: null, reason: 'missing' });
    if (hash !== auditHash(last.hash, content)) return broken({ sequence, id, reason: 'changed' });
    last.sequence = sequence;
    last.hash = hash;
  }
  if (rows.length >= limit) return { chain, last, done: false, fault: null };
  const fault = await verifyEnd(sql, chain, last);
  return { chain, last, done: true, fault };
}

async function verifyEnd(
  sql: Database['sql'],
  chain: string,
  last: { sequence: number; hash: string },
): Promise<AuditFault | null> {
  // One statement gives a consistent snapshot: entries may have been added since the page was read.
  const { rows } = await sql.query<{ head: string | null; newest: string | null; unsealed: string | null }>(
    `SELECT head.sequence || ' ' || encode(head.hash, 'hex') AS head,
       (SELECT sequence || ' ' || encode(hash, 'hex') FROM audit_log
        WHERE coalesce(team_id, '') = $1 AND sequence IS NOT NULL ORDER BY audit_log.sequence DESC LIMIT 1) AS newest,
       (SELECT min(id)::text FROM audit_log WHERE sequence IS NULL AND coalesce(team_id, '') = $1) AS unsealed
     FROM (VALUES ($1)) AS asked (chain) LEFT JOIN audit_chains head USING (chain)`,
    [chain],
  );
  const { head, newest, unsealed } = rows[0]!;
  if (unsealed !== null) return { sequence: last.sequence + 1, id: unsealed, reason: 'unsealed' };
  const [sequence = '0', hash = ''] = head?.split(' ') ?? [];
  const isLonger = Number(sequence) > last.sequence;
  const isSame = Number(sequence) === last.sequence && hash === last.hash;
  return head === newest && (isLonger || isSame)
    ? null
    : { sequence: last.sequence + 1, id: null, reason: 'head' };
}

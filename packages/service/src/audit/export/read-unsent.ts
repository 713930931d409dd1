import type { Database } from '../../database/database.ts';

/** An audit log entry as it is exported. */
export interface UnsentEntry {
  chain: string;
  sequence: number;
  /** Hexadecimal. */
  hash: string;
  /** Text that the hash covers, preceded by the previous hash and a line feed. */
  content: string;
}

/** Maximum number of entries in a batch, of entries per chain in it, and of chains read for it. */
const most = { entries: 1_000, ofChain: 250, chains: 100 };

/** Reads the entries that the sink has not stored yet, each chain in order, starting with the chains that have waited longest. */
export async function readUnsent({ sql }: Pick<Database, 'sql'>, sink: string): Promise<UnsentEntry[]> {
  const { rows } = await sql.query<UnsentEntry>(
    `WITH waiting AS (
       SELECT head.chain, coalesce(sent.sequence, 0) AS sequence, sent.exported_at
       FROM audit_chains head LEFT JOIN audit_exports sent ON sent.sink = $1 AND sent.chain = head.chain
       WHERE head.sequence > coalesce(sent.sequence, 0)
       ORDER BY sent.exported_at NULLS FIRST, head.chain LIMIT ${most.chains}
     )
     SELECT waiting.chain, entry.sequence::float8 AS sequence, encode(entry.hash, 'hex') AS hash, entry.content
     FROM waiting CROSS JOIN LATERAL (
       SELECT log.sequence, log.hash, graft_audit_content(log) AS content FROM audit_log log
       WHERE coalesce(log.team_id, '') = waiting.chain AND log.sequence > waiting.sequence
       ORDER BY log.sequence LIMIT ${most.ofChain}
     ) entry
     ORDER BY waiting.exported_at NULLS FIRST, waiting.chain, entry.sequence LIMIT ${most.entries}`,
    [sink],
  );
  return rows;
}

/** Moves the cursors behind the stored entries. A cursor never moves back, even when a frozen process resumes. */
export async function recordSent(
  { sql }: Pick<Database, 'sql'>,
  sink: string,
  entries: readonly UnsentEntry[],
): Promise<void> {
  const last = new Map(entries.map(({ chain, sequence }) => [chain, sequence]));
  await sql.query(
    `INSERT INTO audit_exports AS sent (sink, chain, sequence) SELECT $1, * FROM unnest($2::text[], $3::bigint[])
     ON CONFLICT (sink, chain) DO UPDATE SET sequence = greatest(sent.sequence, excluded.sequence), exported_at = now()`,
    [sink, [...last.keys()], [...last.values()]],
  );
}

import type { Database } from '../database/database.ts';

/** A difference between the ledger and the rows that it counts. */
export interface UsageDifference {
  teamId: string;
  kind: 'trained_tokens' | 'device_seconds' | 'stored_bytes' | 'metrics';
  /** A job, an attempt, a file, a part, a version, a kept checkpoint or an export. */
  subject: string;
  /** Value of the row; null if there is no row. */
  counted: number | null;
  /** Value of the ledger. For `metrics`: the job's `trained_tokens`, compared with the tokens of its last metric. */
  entered: number;
}

export const maxDifferences = 1000;

/**
 * Compares the ledger with the rows that it counts, for all teams, in one snapshot: the tokens of every ended job with its entries, and
 * those of a succeeded job with its metrics; the seconds of every ended attempt; the bytes of every existing file, part, version,
 * kept checkpoint and export, and that deleted ones have none. Exact to the token, the millisecond and the byte. Reads all rows: for the operator.
 * Returns the first `maxDifferences`; an empty list if they agree.
 */
export async function checkUsage({ sql }: Pick<Database, 'sql'>): Promise<UsageDifference[]> {
  const { rows } = await sql.query<UsageDifference>(
    `WITH entered AS (
       SELECT team_id, kind, subject, sum(quantity) AS quantity FROM usage_ledger
       WHERE kind IN ('trained_tokens', 'device_seconds', 'stored_bytes') GROUP BY team_id, kind, subject
     ), counted AS (
       SELECT team_id, 'trained_tokens' AS kind, id AS subject, coalesce(trained_tokens, 0)::numeric AS quantity,
         state IN ('succeeded', 'failed', 'cancelled') AS is_over FROM jobs
       UNION ALL
       SELECT team_id, 'device_seconds', job_id || '/' || lease_epoch, round(extract(epoch FROM ended_at - started_at), 3),
         ended_at IS NOT NULL FROM job_attempts WHERE kind = 'training'
       UNION ALL SELECT team_id, 'stored_bytes', id, bytes, true FROM files
       UNION ALL SELECT team_id, 'stored_bytes', id, bytes, true FROM upload_parts
       UNION ALL SELECT team_id, 'stored_bytes', id, bytes, true FROM adapter_versions
       UNION ALL SELECT team_id, 'stored_bytes', id, bytes, true FROM checkpoint_adapters
       UNION ALL SELECT team_id, 'stored_bytes', id, bytes, true FROM adapter_exports WHERE bytes IS NOT NULL
     ), difference AS (
       SELECT team_id, kind, subject, counted.quantity AS counted, coalesce(entered.quantity, 0) AS entered
       FROM counted FULL JOIN entered USING (team_id, kind, subject)
       -- The jobs of a deleted team are gone, and their usage stays. Bytes are removed with their rows.
       WHERE coalesce(is_over, true) AND coalesce(counted.quantity, 0) <> coalesce(entered.quantity, 0)
         AND (counted.quantity IS NOT NULL OR kind = 'stored_bytes'
           OR EXISTS (SELECT 1 FROM teams WHERE teams.id = team_id AND deleted_at IS NULL))
       UNION ALL
       SELECT jobs.team_id, 'metrics', jobs.id, last.tokens, trained_tokens
       FROM jobs CROSS JOIN LATERAL (
         SELECT tokens FROM job_metrics metric WHERE metric.team_id = jobs.team_id AND metric.job_id = jobs.id
           AND metric.kind = 'train' ORDER BY step DESC LIMIT 1) last
       WHERE state = 'succeeded' AND last.tokens <> trained_tokens
     )
     SELECT team_id AS "teamId", kind, subject, counted::float8, entered::float8 FROM difference
     ORDER BY team_id, kind, subject LIMIT ${maxDifferences}`,
  );
  return rows;
}

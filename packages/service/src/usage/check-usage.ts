import type { Database } from '../database/database.ts';

/** Where the ledger does not say what the rows say that it counts. */
export interface UsageDifference {
  teamId: string;
  kind: 'trained_tokens' | 'device_seconds' | 'stored_bytes' | 'metrics';
  /** A job, an attempt, a file, a part, a version or a kept checkpoint. */
  subject: string;
  /** Of the row; null: there is none. */
  counted: number | null;
  /** Of the ledger. For `metrics`: the job's `trained_tokens`, against the last of its metrics. */
  entered: number;
}

/** Differences that one check tells. */
export const mostDifferences = 1000;

/**
 * Compares the ledger with what it counts, of all teams, as they are at one moment: the tokens of every job that has ended with its
 * entries, and those of one that succeeded with its metrics; the seconds of every attempt that has ended; the bytes of every file, part,
 * version and kept checkpoint that there is, and that nothing is entered for one that is not. To the token, the millisecond and the byte. Reads all of
 * them: for the operator. Answers the first `mostDifferences`; none: they agree.
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
     ), difference AS (
       SELECT team_id, kind, subject, counted.quantity AS counted, coalesce(entered.quantity, 0) AS entered
       FROM counted FULL JOIN entered USING (team_id, kind, subject)
       -- Of a team that was deleted the jobs are gone, and what they used stays. Bytes go with their rows.
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
     ORDER BY team_id, kind, subject LIMIT ${mostDifferences}`,
  );
  return rows;
}

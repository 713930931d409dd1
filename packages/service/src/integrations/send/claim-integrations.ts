import { randomUUID } from 'node:crypto';
import type { JobIntegrationRequest } from '@graft/wire/integration';
import type { TrackerType } from '@graft/wire/lists';
import type { Database } from '../../database/database.ts';
import { metricColumns, type StoredMetric } from '../../jobs/records/read-metrics.ts';
import type { TrackerRun } from '../trackers/tracker.ts';

/** What was sent of a job's metrics to one service; this process may send until the lease ends. */
export interface ClaimedIntegration {
  teamId: string;
  jobId: string;
  type: TrackerType;
  settings: JobIntegrationRequest;
  run: TrackerRun | null;
  trainStep: number;
  evaluationStep: number;
  sent: number;
  token: string;
}

/**
 * Claims what is due, teams in turn and a few per team, so that a slow service does not delay other teams. The last `keptForOthers` of `count` are
 * given only to teams for which nothing is being sent.
 */
export async function claimIntegrations(
  { sql }: Pick<Database, 'sql'>,
  {
    count,
    perTeam,
    keptForOthers,
    leaseSeconds,
  }: { count: number; perTeam: number; keptForOthers: number; leaseSeconds: number },
): Promise<ClaimedIntegration[]> {
  const { rows } = await sql.query<ClaimedIntegration>(
    `WITH leased AS MATERIALIZED (
       SELECT team_id, count(*) AS n FROM job_integrations WHERE status = 'active' AND lease_until > now() GROUP BY 1
     ), due AS (
       SELECT team_id, job_id, type, next_attempt_at,
              row_number() OVER (PARTITION BY team_id ORDER BY next_attempt_at, job_id, type)
                + coalesce((SELECT n FROM leased WHERE leased.team_id = waiting.team_id), 0) AS turn
       FROM job_integrations waiting
       WHERE status = 'active' AND next_attempt_at <= now() AND (lease_until IS NULL OR lease_until <= now())
     ), placed AS (
       SELECT *, row_number() OVER (ORDER BY turn, next_attempt_at, job_id, type) AS place FROM due WHERE turn <= $2
     ), taken AS (
       SELECT report.team_id, report.job_id, report.type
       FROM job_integrations report JOIN placed USING (team_id, job_id, type)
       WHERE (turn = 1 OR place <= $5) AND report.status = 'active' AND (report.lease_until IS NULL OR report.lease_until <= now())
       ORDER BY place LIMIT $1 FOR UPDATE OF report SKIP LOCKED
     )
     UPDATE job_integrations report SET lease_until = now() + make_interval(secs => $3), lease_token = $4
     FROM taken WHERE (report.team_id, report.job_id, report.type) = (taken.team_id, taken.job_id, taken.type)
     RETURNING report.team_id AS "teamId", report.job_id AS "jobId", report.type, report.settings, report.run,
       report.train_step AS "trainStep", report.evaluation_step AS "evaluationStep", report.sent, report.lease_token AS token`,
    [count, perTeam, leaseSeconds, randomUUID(), count - keptForOthers],
  );
  return rows;
}

/**
 * Returns the next unsent metrics by step, training before evaluation. Each kind has a separate position, because an evaluation is
 * written after the step that it follows.
 */
export async function readUnsent(
  { sql }: Pick<Database, 'sql'>,
  { teamId, jobId, trainStep, evaluationStep }: ClaimedIntegration,
  limit: number,
): Promise<StoredMetric[]> {
  const { rows } = await sql.query<StoredMetric>(
    `SELECT ${metricColumns}
     FROM (VALUES ('train', $3::int), ('evaluation', $4::int)) AS kinds(kind, after)
     CROSS JOIN LATERAL (
       SELECT * FROM job_metrics
       WHERE team_id = $1 AND job_id = $2 AND kind = kinds.kind AND step > kinds.after ORDER BY step LIMIT $5
     ) m
     ORDER BY m.step, m.kind DESC LIMIT $5`,
    [teamId, jobId, trainStep, evaluationStep, limit],
  );
  return rows;
}

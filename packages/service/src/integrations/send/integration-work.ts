/** Metrics of a job for one service as leased work, and what became of sending them. */
import type { JobIntegrationRequest } from '@graft/wire/integration';
import type { TrackerType } from '@graft/wire/lists';
import type { Database, Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import { insertEvent, type NewJobEvent } from '../../jobs/records/job-event.ts';
import { metricColumns, type StoredMetric } from '../../jobs/records/read-metrics.ts';
import {
  backOff,
  type ClaimSize,
  claimWork,
  endWork,
  type RetryTimes,
  type TeamShares,
  teamsInTurn,
  type WorkKind,
  type WorkLease,
  writeWork,
} from '../../work/leased-work.ts';
import type { TrackerError, TrackerRun } from '../trackers/tracker.ts';

type Key = 'teamId' | 'jobId' | 'type';
const { raw, sql } = Prisma;

/** Without a time at which it is due, a row waits until its job runs or ends. */
export const integrationWork: WorkKind<Key> = {
  table: 'job_integrations',
  key: { teamId: 'team_id', jobId: 'job_id', type: 'type' },
  token: 'lease_token',
  due: 'next_attempt_at',
  state: { column: 'status', waiting: 'active', leased: 'active', failed: 'given_up' },
};

/** Progress of sending a job's metrics to one service; this process may send until the lease ends. */
export interface ClaimedIntegration extends WorkLease<Key> {
  type: TrackerType;
  settings: JobIntegrationRequest;
  run: TrackerRun | null;
  trainStep: number;
  evaluationStep: number;
  sent: number;
}

export interface SendingLimits extends RetryTimes {
  /** Number of consecutive refusals after which sending stops. */
  maxRefusals: number;
  /** Seconds without success after which sending stops. */
  giveUpSeconds: number;
}

/** Claims what is due, teams in turn and a few per team, so that a slow service does not delay other teams. */
export async function claimIntegrations(
  db: Pick<Database, 'sql'>,
  size: ClaimSize & TeamShares,
): Promise<ClaimedIntegration[]> {
  return await claimWork<Key, ClaimedIntegration>(db, integrationWork, {
    ...size,
    places: teamsInTurn(integrationWork, size),
    returning: raw('settings, run, train_step AS "trainStep", evaluation_step AS "evaluationStep", sent'),
  });
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

/** Stores the run that a service has created, and adds an event. False if another process sends now. */
export async function recordRun(
  db: Database,
  claimed: ClaimedIntegration,
  run: TrackerRun,
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    await lockJob(tx, claimed);
    if (!(await writeWork(tx, integrationWork, claimed, sql`run = ${JSON.stringify(run)}::jsonb`)))
      return false;
    const place = run.url === null ? '' : `: ${run.url}`;
    await addJobEvent(tx, claimed, { message: `Metrics are sent to ${claimed.type}${place}` });
    return true;
  });
}

/** Records that the service accepted some points. False if another process sends now. */
export async function recordSent(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedIntegration,
  { run, trainStep, evaluationStep, sent }: ClaimedIntegration,
): Promise<boolean> {
  const set = sql`train_step = ${trainStep}, evaluation_step = ${evaluationStep}, sent = ${sent}, failures = 0, refusals = 0,
    failing_since = NULL, run = coalesce(${run && JSON.stringify(run)}::jsonb, run)`;
  return (await writeWork(db, integrationWork, claimed, set)) !== null;
}

/** Records that everything is sent. Next check: in `pollSeconds` while the job runs, else when it runs again or ends. */
export async function recordIdle(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedIntegration,
  pollSeconds: number,
): Promise<void> {
  await endWork(db, integrationWork, claimed, {
    due: sql`CASE WHEN EXISTS (SELECT 1 FROM jobs WHERE jobs.team_id = job_integrations.team_id AND id = job_id
        AND jobs.state IN ('running', 'succeeded', 'failed', 'cancelled'))
      THEN now() + make_interval(secs => ${pollSeconds}) END`,
  });
}

/** Records that the run has ended at the service, too. */
export async function recordFinished(db: Pick<Database, 'sql'>, claimed: ClaimedIntegration): Promise<void> {
  await endWork(db, integrationWork, claimed, { state: 'finished', due: raw('NULL') });
}

/** Stops sending, and adds an event with the reason. */
export async function stopSending(db: Database, claimed: ClaimedIntegration, reason: string): Promise<void> {
  await inTransaction(db, async (tx) => {
    await lockJob(tx, claimed);
    const ended = await endWork(tx, integrationWork, claimed, { state: 'given_up', due: raw('NULL') });
    if (ended) await addStopped(tx, claimed, reason);
  });
}

/**
 * Schedules the next attempt, with an event for the first failure of a series; or stops sending. Returns which.
 */
export async function recordFailure(
  db: Database,
  claimed: ClaimedIntegration,
  error: TrackerError,
  limits: SendingLimits,
): Promise<'again' | 'stopped' | 'lost'> {
  const refusal = error.kind === 'refused' ? 1 : 0;
  return await inTransaction(db, async (tx) => {
    await lockJob(tx, claimed);
    const row = await endWork<Key, { status: string; failures: number }>(
      tx,
      integrationWork,
      claimed,
      {
        failsIf: sql`(coalesce(failing_since, now()) <= now() - make_interval(secs => ${limits.giveUpSeconds})
          OR refusals + ${refusal} >= ${limits.maxRefusals})`,
        due: backOff(limits, sql`failures`, error.retryAfter),
        set: sql`failures = failures + 1, refusals = refusals + ${refusal}, failing_since = coalesce(failing_since, now())`,
      },
      raw('status, failures'),
    );
    if (!row) return 'lost';
    if (row.status === integrationWork.state?.failed) {
      await addStopped(tx, claimed, error.message);
      return 'stopped';
    }
    if (row.failures === 1) {
      const message = `Metrics do not reach ${claimed.type} at the moment. ${error.message} Retrying; training continues.`;
      await addJobEvent(tx, claimed, { level: 'warn', message });
    }
    return 'again';
  });
}

async function addStopped(tx: Transaction, claimed: ClaimedIntegration, reason: string): Promise<void> {
  const message = `Metrics are not sent to ${claimed.type} any more. ${reason} The job itself is not affected; its metrics are all here.`;
  await addJobEvent(tx, claimed, { level: 'warn', message });
}

/** Locks the job, so that its events are committed in order. */
async function lockJob(tx: Transaction, { teamId, jobId }: ClaimedIntegration): Promise<void> {
  await tx.$queryRaw`SELECT id FROM jobs WHERE team_id = ${teamId} AND id = ${jobId} FOR NO KEY UPDATE`;
}

async function addJobEvent(
  tx: Transaction,
  { teamId, jobId, type }: ClaimedIntegration,
  event: NewJobEvent,
): Promise<void> {
  await insertEvent(
    tx,
    { teamId, id: jobId },
    { ...event, data: { kind: 'integration', integration: type } },
  );
}

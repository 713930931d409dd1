import { type Database, json, type Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { insertEvent, type NewJobEvent } from '../../jobs/records/job-event.ts';
import { jitter } from '../../work/start-sending.ts';
import type { TrackerError, TrackerRun } from '../trackers/tracker.ts';
import type { ClaimedIntegration } from './claim-integrations.ts';

export interface SendingLimits {
  /** Seconds until the second attempt; each further delay is twice as long. */
  firstSeconds: number;
  longestSeconds: number;
  /** Number of consecutive refusals after which sending stops. */
  maxRefusals: number;
  /** Seconds without success after which sending stops. */
  giveUpSeconds: number;
}

/** Matches only what this process still has claimed. */
const held = ({ teamId, jobId, type, token }: ClaimedIntegration) => ({
  teamId,
  jobId,
  type,
  status: 'active',
  leaseToken: token,
});

/** Stores the run that a service has created, and adds an event. False if another process sends now. */
export async function recordRun(
  db: Database,
  claimed: ClaimedIntegration,
  run: TrackerRun,
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    await lockJob(tx, claimed);
    const { count } = await tx.jobIntegration.updateMany({ where: held(claimed), data: { run: json(run) } });
    if (count === 0) return false;
    const place = run.url === null ? '' : `: ${run.url}`;
    await addJobEvent(tx, claimed, { message: `Metrics are sent to ${claimed.type}${place}` });
    return true;
  });
}

/** Records that the service accepted some points. False if another process sends now. */
export async function recordSent(
  { db }: Pick<Database, 'db'>,
  claimed: ClaimedIntegration,
  { run, trainStep, evaluationStep, sent }: ClaimedIntegration,
): Promise<boolean> {
  const { count } = await db.jobIntegration.updateMany({
    where: held(claimed),
    data: {
      trainStep,
      evaluationStep,
      sent,
      failures: 0,
      refusals: 0,
      failingSince: null,
      ...(run && { run: json(run) }),
    },
  });
  return count === 1;
}

/** Records that everything is sent. Next check: in `pollSeconds` while the job runs, else when it runs again or ends. */
export async function recordIdle(
  { sql }: Pick<Database, 'sql'>,
  { teamId, jobId, type, token }: ClaimedIntegration,
  pollSeconds: number,
): Promise<void> {
  await sql.query(
    `UPDATE job_integrations SET lease_until = NULL, lease_token = NULL,
       next_attempt_at = CASE WHEN EXISTS (SELECT 1 FROM jobs WHERE team_id = $1 AND id = $2
           AND state IN ('running', 'succeeded', 'failed', 'cancelled'))
         THEN now() + make_interval(secs => $5) END
     WHERE team_id = $1 AND job_id = $2 AND type = $3 AND lease_token = $4 AND status = 'active'`,
    [teamId, jobId, type, token, pollSeconds],
  );
}

/** Records that the run has ended at the service, too. */
export async function recordFinished(
  { db }: Pick<Database, 'db'>,
  claimed: ClaimedIntegration,
): Promise<void> {
  await db.jobIntegration.updateMany({
    where: held(claimed),
    data: { status: 'finished', leaseUntil: null, leaseToken: null, nextAttemptAt: null },
  });
}

/** Stops sending, and adds an event with the reason. */
export async function stopSending(db: Database, claimed: ClaimedIntegration, reason: string): Promise<void> {
  await inTransaction(db, async (tx) => {
    await lockJob(tx, claimed);
    await stopSendingWithin(tx, claimed, reason);
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
  const { teamId, jobId, type, token } = claimed;
  const { firstSeconds, longestSeconds, maxRefusals, giveUpSeconds } = limits;
  const asked = Math.min(error.retryAfter ?? 0, longestSeconds);
  const refusal = error.kind === 'refused' ? 1 : 0;
  return await inTransaction(db, async (tx) => {
    await lockJob(tx, claimed);
    const [row] = await tx.$queryRaw<{ failures: number; refusals: number; isLong: boolean }[]>`
      UPDATE job_integrations
      SET failures = failures + 1, refusals = refusals + ${refusal}, lease_until = NULL,
          failing_since = coalesce(failing_since, now()),
          next_attempt_at = now() + make_interval(secs => greatest(${asked},
            least(${firstSeconds} * power(2, least(failures, 30)), ${longestSeconds}) * ${jitter()}))
      WHERE team_id = ${teamId} AND job_id = ${jobId} AND type = ${type} AND lease_token = ${token} AND status = 'active'
      RETURNING failures, refusals, failing_since <= now() - make_interval(secs => ${giveUpSeconds}) AS "isLong"`;
    if (!row) return 'lost';
    if (row.isLong || row.refusals >= maxRefusals) {
      await stopSendingWithin(tx, claimed, error.message);
      return 'stopped';
    }
    if (row.failures === 1) {
      const message = `Metrics do not reach ${type} at the moment. ${error.message} Retrying; training continues.`;
      await addJobEvent(tx, claimed, { level: 'warn', message });
    }
    return 'again';
  });
}

async function stopSendingWithin(
  tx: Transaction,
  claimed: ClaimedIntegration,
  reason: string,
): Promise<void> {
  const { count } = await tx.jobIntegration.updateMany({
    where: held(claimed),
    data: { status: 'given_up', leaseUntil: null, leaseToken: null, nextAttemptAt: null },
  });
  if (count === 0) return;
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

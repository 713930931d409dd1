import { graftItself } from '../../audit/actor.ts';
import { insertAudit } from '../../audit/insert-audit.ts';
import { type Database, databaseTime } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { jitter } from '../../work/start-sending.ts';
import { type ClaimedDelivery, probeAfterFailures } from './claim-deliveries.ts';

export interface RetryPauses {
  /** Seconds until the second attempt; each further delay is twice as long, with jitter. */
  firstSeconds: number;
  longestSeconds: number;
  /** Maximum delay, in seconds, of all deliveries to an endpoint that fails. */
  endpointSeconds: number;
}

/** The outcome of an attempt that did not deliver. */
export interface AttemptFailure {
  /** Status of the receiver's answer; null if there was none. */
  status: number | null;
  /** Shown to the team. */
  reason: string;
  /** Seconds that the receiver asked to wait before a retry. */
  retryAfter: number | null;
}

/**
 * pending → delivered, even if another process has claimed it now: it has arrived. The endpoint works, so its waiting deliveries are due.
 */
export async function recordDelivered(
  { sql }: Pick<Database, 'sql'>,
  { teamId, endpointId, id }: ClaimedDelivery,
  status: number,
): Promise<void> {
  await sql.query(
    `WITH delivered AS (
       UPDATE webhook_deliveries
       SET status = 'delivered', ended_at = now(), lease_until = NULL, last_status = $4, last_error = NULL
       WHERE team_id = $1 AND endpoint_id = $2 AND id = $3 AND status = 'pending'
     )
     UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, not_before = NULL
     WHERE team_id = $1 AND id = $2 AND failing_since IS NOT NULL`,
    [teamId, endpointId, id, status],
  );
}

/**
 * Schedules the next attempt; the last one is at the delivery's expiry, after which it is failed. An endpoint that fails repeatedly
 * gets no deliveries for a while. Does nothing if another process has claimed the delivery since.
 */
export async function recordFailure(
  { sql }: Pick<Database, 'sql'>,
  { teamId, endpointId, id, attempt, leaseUntil }: ClaimedDelivery,
  { status, reason, retryAfter }: AttemptFailure,
  { firstSeconds, longestSeconds, endpointSeconds }: RetryPauses,
): Promise<void> {
  await sql.query(
    `WITH failed AS (
       UPDATE webhook_deliveries
       SET failures = failures + 1, lease_until = NULL, last_status = $5, last_error = $6,
           status = CASE WHEN expires_at <= now() THEN 'failed' ELSE 'pending' END,
           ended_at = CASE WHEN expires_at <= now() THEN now() END,
           next_attempt_at = least(now() + make_interval(secs => greatest($10,
             least($7 * power(2, least(failures, 30)), $8) * $11)), greatest(expires_at, now()))
       WHERE team_id = $1 AND endpoint_id = $2 AND id = $3 AND attempts = $4 AND lease_until = $12::timestamptz
         AND status = 'pending'
       RETURNING endpoint_id
     )
     UPDATE webhook_endpoints
     SET failures = failures + 1, failing_since = coalesce(failing_since, now()),
         not_before = CASE WHEN failures + 1 >= ${probeAfterFailures} THEN now() + make_interval(secs =>
           least($7 * power(2, least(failures + 1 - ${probeAfterFailures}, 30)), $9) * $11) END
     FROM failed WHERE team_id = $1 AND id = failed.endpoint_id`,
    [
      ...[teamId, endpointId, id, attempt, status, reason],
      ...[firstSeconds, longestSeconds, endpointSeconds, Math.min(retryAfter ?? 0, longestSeconds), jitter()],
      leaseUntil,
    ],
  );
}

/**
 * Fails expired deliveries that got no last attempt. A disabled endpoint gets none; others have two minutes for it, as their deliveries
 * may be delayed.
 */
export async function failExpired({ sql }: Pick<Database, 'sql'>): Promise<number> {
  const { rowCount } = await sql.query(
    `UPDATE webhook_deliveries SET status = 'failed', ended_at = now(), lease_until = NULL,
       last_error = coalesce(last_error, 'It was not sent in time: the endpoint was disabled or failing.')
     WHERE id IN (
       SELECT id FROM webhook_deliveries
       WHERE status = 'pending' AND expires_at < now() AND (lease_until IS NULL OR lease_until < now())
         AND (expires_at < now() - interval '2 minutes' OR EXISTS (
           SELECT 1 FROM webhook_endpoints endpoint
           WHERE endpoint.team_id = webhook_deliveries.team_id AND endpoint.id = endpoint_id
             AND endpoint.disabled_at IS NOT NULL))
       LIMIT 1000 FOR UPDATE SKIP LOCKED)`,
  );
  return rowCount ?? 0;
}

/** Disables endpoints that have failed without any delivery for `retrySeconds`. Returns their ids. */
export async function disableFailing(
  database: Database,
  { retrySeconds }: { retrySeconds: number },
): Promise<string[]> {
  const before = new Date((await databaseTime(database)).getTime() - retrySeconds * 1000);
  const failing = await database.db.webhookEndpoint.findMany({
    where: { disabledAt: null, failingSince: { lte: before } },
    select: { teamId: true, id: true },
    take: 100,
  });
  const disabled: string[] = [];
  for (const { teamId, id } of failing) {
    const last = await database.db.webhookDelivery.findFirst({
      where: { teamId, endpointId: id, lastError: { not: null } },
      orderBy: { lastAttemptAt: 'desc' },
      select: { lastError: true },
    });
    const reason = `Nothing could be delivered for ${describe(retrySeconds)}. The last attempt: ${last?.lastError ?? 'unknown'}`;
    if (await disableEndpoint(database, { teamId, id, reason, failingBefore: before })) disabled.push(id);
  }
  return disabled;
}

/** Disables an endpoint. False if it is disabled already, or works again. */
export async function disableEndpoint(
  database: Database,
  { teamId, id, reason, failingBefore }: { teamId: string; id: string; reason: string; failingBefore?: Date },
): Promise<boolean> {
  const now = await databaseTime(database);
  return await inTransaction(database, async (tx) => {
    const { count } = await tx.webhookEndpoint.updateMany({
      where: { teamId, id, disabledAt: null, ...(failingBefore && { failingSince: { lte: failingBefore } }) },
      data: { disabledAt: now, disabledReason: reason },
    });
    if (count === 0) return false;
    await insertAudit(tx, teamId, graftItself, { action: 'webhook.disable', target: id, detail: { reason } });
    return true;
  });
}

function describe(seconds: number): string {
  const hours = Math.round(seconds / 3600);
  return hours === 24 ? 'a day' : hours > 0 ? `${hours} hours` : `${seconds} seconds`;
}

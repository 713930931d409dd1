/** Deliveries as leased work, and what became of an attempt. */
import { graftItself } from '../../audit/actor.ts';
import { insertAudit } from '../../audit/insert-audit.ts';
import { type Database, databaseTime } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import {
  backOff,
  type ClaimSize,
  claimWork,
  endingOf,
  fencedUpdate,
  isFree,
  isLeased,
  type RetryTimes,
  type TeamShares,
  type WorkKind,
  type WorkLease,
} from '../../work/leased-work.ts';

type Key = 'teamId' | 'endpointId' | 'id';
const { raw, sql } = Prisma;

export const deliveryWork: WorkKind<Key> & { ended: string } = {
  table: 'webhook_deliveries',
  key: { teamId: 'team_id', endpointId: 'endpoint_id', id: 'id' },
  token: 'lease_token',
  due: 'next_attempt_at',
  state: { column: 'status', waiting: 'pending', leased: 'pending', failed: 'failed' },
  ended: 'ended_at',
  countsAttempts: true,
};

/** A delivery that this process may send until its lease ends. */
export interface ClaimedDelivery extends WorkLease<Key> {
  url: string;
  eventId: string;
  type: string;
  subject: string;
  eventAt: Date;
  attempt: number;
  /** Valid secrets, newest first. */
  secrets: { id: string; sealed: Uint8Array; sealedBy: string }[];
}

export interface ClaimLimits extends ClaimSize, Required<TeamShares> {
  /** Approximate maximum of concurrent deliveries to one endpoint by all processes. */
  perEndpoint: number;
}

/** Number of consecutive failures after which an endpoint gets only one delivery at a time. */
export const probeAfterFailures = 3;

/**
 * Claims due deliveries: only the earliest of each subject, and teams in turn, so that neither a team with many endpoints nor a slow or
 * unavailable endpoint delays others.
 */
export async function claimDeliveries(
  db: Pick<Database, 'sql'>,
  limits: ClaimLimits,
): Promise<ClaimedDelivery[]> {
  const claimed = await claimWork<Key, Omit<ClaimedDelivery, 'secrets'>>(db, deliveryWork, {
    ...limits,
    places: earliestInTurn(limits),
    set: raw('last_attempt_at = now()'),
    returning:
      raw(`(SELECT url FROM webhook_endpoints WHERE webhook_endpoints.id = endpoint_id), event_id AS "eventId", type, subject,
      event_at AS "eventAt", attempts AS attempt`),
  });
  return await withSecrets(db, claimed);
}

/** SQL: as `teamsInTurn`, where an endpoint has a share, too, and a subject has its deliveries in order. */
function earliestInTurn({
  count,
  perEndpoint,
  perTeam,
  keptForOthers,
  leaseSeconds,
}: ClaimLimits): Prisma.Sql {
  return sql`
    WITH leased AS MATERIALIZED (
      SELECT team_id, endpoint_id, count(*) AS n FROM webhook_deliveries WHERE ${isLeased(deliveryWork, leaseSeconds)} GROUP BY 1, 2
    ), due AS (
      SELECT endpoint.team_id, endpoint.failures, endpoint.id AS endpoint_id, first.id,
        row_number() OVER (PARTITION BY endpoint.id ORDER BY first.next_attempt_at, first.outbox_id)
          + coalesce((SELECT n FROM leased WHERE leased.endpoint_id = endpoint.id), 0) AS of_endpoint
      FROM webhook_endpoints endpoint CROSS JOIN LATERAL (
        SELECT id, next_attempt_at, outbox_id FROM webhook_deliveries
        WHERE endpoint_id = endpoint.id AND ${isFree(deliveryWork, leaseSeconds)} AND NOT EXISTS (
          SELECT 1 FROM webhook_deliveries earlier
          WHERE earlier.endpoint_id = endpoint.id AND earlier.subject = webhook_deliveries.subject
            AND earlier.status = 'pending' AND earlier.outbox_id < webhook_deliveries.outbox_id)
        ORDER BY next_attempt_at, outbox_id LIMIT ${perEndpoint}
      ) first
      WHERE endpoint.disabled_at IS NULL AND (endpoint.not_before IS NULL OR endpoint.not_before <= now())
    ), ranked AS (
      SELECT due.*, row_number() OVER (PARTITION BY team_id ORDER BY of_endpoint, id)
        + coalesce((SELECT sum(n) FROM leased WHERE leased.team_id = due.team_id), 0) AS turn
      FROM due WHERE of_endpoint <= CASE WHEN failures >= ${probeAfterFailures} THEN 1 ELSE ${perEndpoint}::int END
    ), placed AS (
      SELECT *, row_number() OVER (ORDER BY turn, random()) AS place FROM ranked WHERE turn <= ${perTeam}
    )
    SELECT team_id, endpoint_id, id, place FROM placed WHERE turn = 1 OR place <= ${count - keptForOthers}`;
}

async function withSecrets(
  { sql }: Pick<Database, 'sql'>,
  claimed: Omit<ClaimedDelivery, 'secrets'>[],
): Promise<ClaimedDelivery[]> {
  if (claimed.length === 0) return [];
  const { rows } = await sql.query<ClaimedDelivery['secrets'][number] & { endpointId: string }>(
    `SELECT id, endpoint_id AS "endpointId", sealed, sealed_by AS "sealedBy" FROM webhook_secrets
     WHERE (team_id, endpoint_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
       AND (expires_at IS NULL OR expires_at > now())
     ORDER BY created_at DESC, id`,
    [claimed.map(({ teamId }) => teamId), claimed.map(({ endpointId }) => endpointId)],
  );
  return claimed.map((delivery) => ({
    ...delivery,
    secrets: rows.filter(({ endpointId }) => endpointId === delivery.endpointId),
  }));
}

export interface RetryPauses extends RetryTimes {
  /** Maximum delay, in seconds, of all deliveries to an endpoint that fails. */
  endpointSeconds: number;
}

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
       SET status = 'delivered', ended_at = now(), lease_until = NULL, lease_token = NULL, last_status = $4, last_error = NULL
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
  db: Pick<Database, 'sql'>,
  claimed: ClaimedDelivery,
  { status, reason, retryAfter }: AttemptFailure,
  { endpointSeconds, ...times }: RetryPauses,
): Promise<void> {
  const ending = endingOf(deliveryWork, {
    failsIf: raw('expires_at <= now()'),
    due: sql`least(${backOff(times, raw('failures'), retryAfter)}, greatest(expires_at, now()))`,
    set: sql`failures = failures + 1, last_status = ${status}, last_error = ${reason}`,
  });
  const pause = backOff(
    { ...times, longestSeconds: endpointSeconds },
    sql`failures + 1 - ${probeAfterFailures}::int`,
  );
  await db.sql.query(sql`
    WITH failed AS (${fencedUpdate(deliveryWork, claimed, ending)})
    UPDATE webhook_endpoints SET failures = failures + 1, failing_since = coalesce(failing_since, now()),
      not_before = CASE WHEN failures + 1 >= ${probeAfterFailures} THEN ${pause} END
    FROM failed WHERE team_id = ${claimed.teamId} AND id = ${claimed.endpointId}`);
}

/**
 * Fails expired deliveries that got no last attempt. A disabled endpoint gets none; others have two minutes for it, as their deliveries
 * may be delayed.
 */
export async function failExpired({ sql }: Pick<Database, 'sql'>): Promise<number> {
  const { rowCount } = await sql.query(
    `UPDATE webhook_deliveries SET status = 'failed', ended_at = now(), lease_until = NULL, lease_token = NULL,
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

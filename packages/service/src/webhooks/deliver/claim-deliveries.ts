import type { Database } from '../../database/database.ts';

/** A delivery that this process may send until its lease ends. */
export interface ClaimedDelivery {
  id: string;
  teamId: string;
  endpointId: string;
  url: string;
  eventId: string;
  type: string;
  subject: string;
  eventAt: Date;
  /** Number of this attempt. */
  attempt: number;
  /**
   * When the lease of this claim ends, as formatted by Postgres. Together with `attempt` it identifies the claim: two claims have the same
   * attempt number if a Postgres failover loses the first.
   */
  leaseUntil: string;
  /** Valid secrets, newest first. */
  secrets: { id: string; sealed: Uint8Array; sealedBy: string }[];
}

export interface ClaimLimits {
  /** Maximum number of deliveries to claim. */
  count: number;
  /** Approximate maximum of concurrent deliveries by all processes: per endpoint, and per team. */
  perEndpoint: number;
  perTeam: number;
  /** How many of `count` are kept for teams to whose endpoints nothing is being sent. */
  keptForOthers: number;
  leaseSeconds: number;
}

/** Number of consecutive failures after which an endpoint gets only one delivery at a time. */
export const probeAfterFailures = 3;

/**
 * Claims due deliveries: only the earliest of each subject, and teams in turn, so that neither a team with many endpoints nor a slow or
 * unavailable endpoint delays others. The last `keptForOthers` of `count` are given only to teams to whose endpoints nothing is being sent.
 */
export async function claimDeliveries(
  { sql }: Pick<Database, 'sql'>,
  { count, perEndpoint, perTeam, keptForOthers, leaseSeconds }: ClaimLimits,
): Promise<ClaimedDelivery[]> {
  const { rows } = await sql.query<ClaimedDelivery>(
    `WITH leased AS MATERIALIZED (
       SELECT team_id, endpoint_id, count(*) AS n FROM webhook_deliveries WHERE lease_until > now() GROUP BY 1, 2
     ), due AS (
       SELECT endpoint.team_id, endpoint.failures, first.id,
              row_number() OVER (PARTITION BY endpoint.id ORDER BY first.next_attempt_at, first.outbox_id)
                + coalesce((SELECT n FROM leased WHERE endpoint_id = endpoint.id), 0) AS of_endpoint
       FROM webhook_endpoints endpoint CROSS JOIN LATERAL (
         SELECT id, next_attempt_at, outbox_id FROM webhook_deliveries waiting
         WHERE endpoint_id = endpoint.id AND status = 'pending' AND next_attempt_at <= now()
           AND (lease_until IS NULL OR lease_until <= now())
           AND NOT EXISTS (
             SELECT 1 FROM webhook_deliveries earlier
             WHERE earlier.endpoint_id = endpoint.id AND earlier.subject = waiting.subject
               AND earlier.status = 'pending' AND earlier.outbox_id < waiting.outbox_id)
         ORDER BY next_attempt_at, outbox_id LIMIT $2
       ) first
       WHERE endpoint.disabled_at IS NULL AND (endpoint.not_before IS NULL OR endpoint.not_before <= now())
     ), ranked AS (
       SELECT id, row_number() OVER (PARTITION BY team_id ORDER BY of_endpoint, id)
                + coalesce((SELECT sum(n) FROM leased WHERE leased.team_id = due.team_id), 0) AS of_team
       FROM due WHERE of_endpoint <= CASE WHEN failures >= ${probeAfterFailures} THEN 1 ELSE $2::int END
     ), placed AS (
       SELECT *, row_number() OVER (ORDER BY of_team, random()) AS place FROM ranked WHERE of_team <= $3
     ), taken AS (
       SELECT delivery.id FROM webhook_deliveries delivery JOIN placed USING (id)
       WHERE (of_team = 1 OR place <= $5) AND delivery.status = 'pending'
         AND (delivery.lease_until IS NULL OR delivery.lease_until <= now())
       ORDER BY place LIMIT $1 FOR UPDATE OF delivery SKIP LOCKED
     )
     UPDATE webhook_deliveries delivery
     SET attempts = attempts + 1, last_attempt_at = now(), lease_until = now() + make_interval(secs => $4)
     FROM taken, webhook_endpoints endpoint
     WHERE delivery.id = taken.id AND endpoint.id = delivery.endpoint_id
     RETURNING delivery.id, delivery.team_id AS "teamId", delivery.endpoint_id AS "endpointId", endpoint.url,
       delivery.event_id AS "eventId", delivery.type, delivery.subject, delivery.event_at AS "eventAt",
       delivery.attempts AS attempt, delivery.lease_until::text AS "leaseUntil"`,
    [count, perEndpoint, perTeam, leaseSeconds, count - keptForOthers],
  );
  return await withSecrets({ sql }, rows);
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

import type { Database } from '../../database/database.ts';
import { testEvent } from '../webhook.ts';

/** Maximum rows of the outbox per statement. */
const batch = 200;

/**
 * Turns new events of the outbox into deliveries, one per endpoint that subscribes to the event; returns the number of events. A single
 * statement, so that a frozen or killed process leaves nothing half done. A concurrent call waits for the first, then processes the
 * rest: in the order of the outbox, so that an event never becomes a delivery before an earlier event of its subject.
 */
export async function spreadEvents(
  { sql }: Pick<Database, 'sql'>,
  options: { retrySeconds: number },
): Promise<number> {
  const { rows } = await sql.query<{ taken: number }>(
    `WITH news AS (
       SELECT id, team_id, topic, payload->>'id' AS subject, event_id, created_at
       FROM outbox WHERE delivered_at IS NULL ORDER BY id LIMIT ${batch} FOR UPDATE
     ), made AS (
       INSERT INTO webhook_deliveries (team_id, endpoint_id, outbox_id, event_id, type, subject, event_at, expires_at)
       SELECT news.team_id, endpoint.id, news.id, news.event_id, news.topic, news.subject, news.created_at,
              now() + make_interval(secs => $1)
       FROM news JOIN webhook_endpoints endpoint ON endpoint.team_id = news.team_id
         AND CASE news.topic WHEN $2 THEN endpoint.id = news.subject ELSE news.topic = ANY (endpoint.events) END
       WHERE endpoint.disabled_at IS NULL AND news.subject IS NOT NULL
       ON CONFLICT (endpoint_id, outbox_id) DO NOTHING
     ), spread AS (
       UPDATE outbox SET delivered_at = now() FROM news WHERE outbox.id = news.id RETURNING outbox.id
     )
     SELECT count(*)::int AS taken FROM spread`,
    [options.retrySeconds, testEvent],
  );
  return rows[0]!.taken;
}

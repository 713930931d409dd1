import type pg from 'pg';

export type OutboxTopic =
  | 'fine_tuning.job.succeeded'
  | 'fine_tuning.job.failed'
  | 'fine_tuning.job.cancelled';

/** Notes what must leave the service once the caller's transaction commits. */
export async function insertOutbox(
  tx: pg.PoolClient,
  teamId: string,
  topic: OutboxTopic,
  payload: Record<string, unknown>,
): Promise<void> {
  await tx.query('INSERT INTO outbox (team_id, topic, payload) VALUES ($1, $2, $3)', [
    teamId,
    topic,
    JSON.stringify(payload),
  ]);
}

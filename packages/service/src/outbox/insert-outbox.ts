import type { Transaction } from '../database/database.ts';

export type OutboxTopic =
  | 'fine_tuning.job.succeeded'
  | 'fine_tuning.job.failed'
  | 'fine_tuning.job.cancelled';

/** Notes what must leave the service once the caller's transaction commits. */
export async function insertOutbox(
  tx: Transaction,
  teamId: string,
  topic: OutboxTopic,
  payload: { id: string },
): Promise<void> {
  await tx.outbox.create({ data: { teamId, topic, payload }, select: { id: true } });
}

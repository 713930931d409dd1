import type { WebhookEvent } from '@graft/wire/lists';
import type { Transaction } from '../database/database.ts';
import type { testEvent } from './webhook.ts';

/** Writes an event to the outbox, in the transaction that makes it true. `id` is the id of the event's subject. */
export async function enqueueOutboxEvent(
  tx: Transaction,
  { teamId, id }: { teamId: string; id: string },
  topic: WebhookEvent | typeof testEvent,
): Promise<{ eventId: string }> {
  return await tx.outbox.create({ data: { teamId, topic, payload: { id } }, select: { eventId: true } });
}

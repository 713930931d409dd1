import { GraftError } from '@graft/peft-core/config';
import type { DeliveryStatus } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, databaseTime } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import { enqueueOutboxEvent } from './enqueue-outbox-event.ts';
import { takeSend } from './take-send.ts';
import { deliveryOf, testEvent, type WebhookDelivery } from './webhook.ts';

/** Seconds from an event, or from its resending, until its delivery fails. */
export const retrySeconds = 24 * 3600;

/** Lists the deliveries of one endpoint, newest first. Throws GraftError `invalid_cursor`. */
export async function listDeliveries(
  { db }: Database,
  teamId: string,
  endpointId: string,
  options: PageOptions & { status?: DeliveryStatus | undefined },
): Promise<Page<WebhookDelivery>> {
  const { status } = options;
  return await listRows(
    db.webhookDelivery,
    options,
    { where: { teamId, endpointId }, filter: { ...(status && { status }) } },
    deliveryOf,
  );
}

/**
 * Sends a delivery again, delivered or not, under the same webhook-id, with another day to arrive. Leaves a delivery that is being sent
 * unchanged. Null if this team's endpoint has no such delivery. Throws SendLimitExceeded.
 */
export async function resendDelivery(
  db: Database,
  teamId: string,
  endpointId: string,
  id: string,
  by: Actor,
): Promise<WebhookDelivery | null> {
  const now = await databaseTime(db);
  return await inTransaction(db, async (tx) => {
    const where = { teamId, endpointId, id };
    if ((await tx.webhookDelivery.count({ where })) === 0) return null;
    await takeSend(tx, teamId, endpointId);
    const { count } = await tx.webhookDelivery.updateMany({
      where: { ...where, OR: [{ leaseUntil: null }, { leaseUntil: { lt: now } }] },
      data: {
        status: 'pending',
        failures: 0,
        nextAttemptAt: now,
        expiresAt: new Date(now.getTime() + retrySeconds * 1000),
        endedAt: null,
      },
    });
    if (count > 0) {
      const detail = { delivery: id };
      await insertAudit(tx, teamId, by, { action: 'webhook.resend', target: endpointId, detail });
    }
    const row = await tx.webhookDelivery.findFirst({ where });
    return row && deliveryOf(row);
  });
}

/**
 * Sends a `webhook.test` event to this endpoint only. Returns the event's id; null if the team has no such endpoint. Throws GraftError
 * `webhook_disabled`, SendLimitExceeded.
 */
export async function testWebhook(
  db: Database,
  teamId: string,
  id: string,
  by: Actor,
): Promise<string | null> {
  return await inTransaction(db, async (tx) => {
    const endpoint = await tx.webhookEndpoint.findFirst({ where: { teamId, id } });
    if (!endpoint) return null;
    if (endpoint.disabledAt) {
      throw new GraftError('webhook_disabled', 'The endpoint is disabled: enable it first.', { param: null });
    }
    await takeSend(tx, teamId, id);
    const { eventId } = await enqueueOutboxEvent(tx, { teamId, id }, testEvent);
    await insertAudit(tx, teamId, by, { action: 'webhook.test', target: id });
    return eventId;
  });
}

/**
 * Vocabulary
 * - event: something that happened, published by a row of the outbox that is written in the same transaction.
 * - endpoint: a URL of a team that subscribes to some types of events.
 * - delivery: one event for one endpoint. Pending until the receiver answers 2xx (delivered), or a day has passed (failed).
 * - subject: the object of an event, such as a job. Deliveries of one subject to one endpoint are sent in order.
 * - secret: signs deliveries. A rotation creates another one, and both sign until the old one expires.
 */
import type { DeliveryStatus, WebhookEvent } from '@graft/wire/lists';
import type { WebhookDelivery as DeliveryRow, WebhookEndpoint as EndpointRow } from '../generated/client.ts';
import type { ExitMaker } from '../keys/exits.ts';

/** Event that a user may send to test an endpoint; its subject is the endpoint. */
export const testEvent = 'webhook.test';
/** Maximum number of secrets of one endpoint that sign at the same time. */
export const maxSecrets = 3;

export interface WebhookEndpoint extends ExitMaker {
  id: string;
  teamId: string;
  url: string;
  description: string | null;
  events: WebhookEvent[];
  createdAt: Date;
  /** Since when it is disabled and gets no deliveries; null while it is enabled. */
  disabledAt: Date | null;
  disabledReason: string | null;
  /** Time of the first failure since the last successful delivery; null if there is none. */
  failingSince: Date | null;
}

/** The columns of a delivery that its team sees. */
export type WebhookDelivery = Omit<
  DeliveryRow,
  'teamId' | 'outboxId' | 'leaseUntil' | 'leaseToken' | 'failures' | 'status'
> & { status: DeliveryStatus };

export function endpointOf(row: EndpointRow): WebhookEndpoint {
  const { failures: _, notBefore: __, sendsUntil: ___, events, ...columns } = row;
  return { ...columns, events: events as WebhookEvent[] };
}

export function deliveryOf(row: DeliveryRow): WebhookDelivery {
  const {
    teamId: _,
    outboxId: __,
    leaseUntil: ___,
    leaseToken: ____,
    failures: _____,
    status,
    ...columns
  } = row;
  return { ...columns, status: status as DeliveryStatus };
}

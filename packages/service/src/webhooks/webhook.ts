/**
 * Vocabulary
 * - event: something that happened, told by a row of the outbox that was written with it.
 * - endpoint: a URL of a team's that wants some types of events.
 * - delivery: one event for one endpoint. It is pending until the receiver answers 2xx (delivered), or a day is over (failed).
 * - subject: what an event is of, such as a job. Deliveries of one subject to one endpoint go in order.
 * - secret: what signs. A rotation makes another, and both sign until the old one expires.
 */
import type { WebhookDelivery as DeliveryRow, WebhookEndpoint as EndpointRow } from '../generated/client.ts';

/** Types of events that an endpoint may ask for. OpenAI's, and below them ours. */
export const webhookEvents = [
  'fine_tuning.job.succeeded',
  'fine_tuning.job.failed',
  'fine_tuning.job.cancelled',
  'fine_tuning.job.running',
  'fine_tuning.job.paused',
  'budget.warning',
  'budget.exceeded',
] as const;
export type WebhookEvent = (typeof webhookEvents)[number];

/** What an endpoint gets that does not say. */
export const defaultWebhookEvents: readonly WebhookEvent[] = webhookEvents.slice(0, 3);

/** What anybody may ask to be sent, to try an endpoint; its subject is the endpoint. */
export const testEvent = 'webhook.test';

export const mostEndpoints = 20;
/** Secrets of one endpoint that sign at the same time. */
export const mostSecrets = 3;

export interface WebhookEndpoint {
  id: string;
  teamId: string;
  url: string;
  description: string | null;
  events: WebhookEvent[];
  createdAt: Date;
  /** Since then it gets nothing. */
  disabledAt: Date | null;
  disabledReason: string | null;
  /** The first failure since anything was last delivered. */
  failingSince: Date | null;
}

export type DeliveryStatus = 'pending' | 'delivered' | 'failed';
export const deliveryStatuses = ['pending', 'delivered', 'failed'] as const;

export interface WebhookDelivery {
  id: string;
  endpointId: string;
  eventId: string;
  type: string;
  subject: string;
  eventAt: Date;
  status: DeliveryStatus;
  attempts: number;
  nextAttemptAt: Date;
  expiresAt: Date;
  lastAttemptAt: Date | null;
  lastStatus: number | null;
  lastError: string | null;
  createdAt: Date;
  endedAt: Date | null;
}

export function endpointOf(row: EndpointRow): WebhookEndpoint {
  const { failures: _, notBefore: __, sendsUntil: ___, madeByKey: ____, events, ...columns } = row;
  return { ...columns, events: events as WebhookEvent[] };
}

export function deliveryOf(row: DeliveryRow): WebhookDelivery {
  const { teamId: _, outboxId: __, leaseUntil: ___, failures: ____, status, ...columns } = row;
  return { ...columns, status: status as DeliveryStatus };
}

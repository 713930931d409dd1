import {
  defaultWebhookEvents,
  deliveryStatuses,
  maxEndpoints,
  type WebhookDelivery,
  type WebhookEndpoint,
  type WebhookEvent,
  webhookEvents,
} from '@graft/service';
import { type Static, Type } from 'typebox';
import { After, limit } from './list.ts';
import { deletedSchema, input, named, namedInput, nullable, Time, unixSeconds } from './schema.ts';

const Event = Type.Unsafe<WebhookEvent>({ type: 'string', enum: [...webhookEvents] });
const Url = Type.String({
  minLength: 1,
  maxLength: 2048,
  description:
    'https, port 443 or 8443, a host on the internet. What else may be reached, the operator opens (GRAFT_WEBHOOK_ALLOW).',
});
const Description = nullable(Type.String({ maxLength: 256 }), { description: 'For people.' });
const Events = (options: object = {}) =>
  Type.Array(Event, {
    minItems: 1,
    maxItems: webhookEvents.length,
    description: 'Types it gets.',
    ...options,
  });

export const WebhookSchema = named('WebhookEndpoint', {
  id: Type.String(),
  object: Type.Literal('webhook.endpoint'),
  created_at: Time,
  url: Type.String(),
  description: nullable(Type.String()),
  events: Type.Array(Event),
  enabled: Type.Boolean({ description: 'False: nothing is sent to it, and new events are not kept for it.' }),
  disabled_at: nullable(Time),
  disabled_reason: nullable(Type.String()),
  failing_since: nullable(Time, { description: 'The first failure since anything was last delivered.' }),
});

export const WebhookWithSecretSchema = named('WebhookEndpointWithSecret', {
  ...WebhookSchema.properties,
  secret: Type.String({ description: '`whsec_…`: verifies signatures. It is never shown again.' }),
});

export const NewWebhookSchema = namedInput('CreateWebhookEndpoint', {
  url: Url,
  description: Type.Optional(Description),
  events: Type.Optional(Events({ default: [...defaultWebhookEvents] })),
});

export const WebhookChangesSchema = namedInput('UpdateWebhookEndpoint', {
  url: Type.Optional(Url),
  description: Type.Optional(Description),
  events: Type.Optional(Events()),
  enabled: Type.Optional(
    Type.Boolean({ description: 'True forgets failures and sends at once what still waits.' }),
  ),
});

const day = 24 * 3600;
/** Default of seconds for which earlier secrets keep signing after a new one is created. */
export const usualOverlap = day;

export const RotationSchema = namedInput('RotateWebhookSecret', {
  overlap_seconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 7 * day,
      default: usualOverlap,
      description: 'For so long the secrets before the new one sign, too. 0: none does any more.',
    }),
  ),
});

export const DeletedWebhookSchema = deletedSchema('DeletedWebhookEndpoint', 'webhook.endpoint');

export const WebhookTestSchema = named('WebhookTest', {
  object: Type.Literal('webhook.test'),
  event_id: Type.String({ description: 'The webhook-id of what is about to arrive.' }),
});

export const DeliverySchema = named('WebhookDelivery', {
  id: Type.String(),
  object: Type.Literal('webhook.delivery'),
  created_at: Time,
  webhook_id: Type.String({ description: 'The endpoint.' }),
  event_id: Type.String({ description: 'The header webhook-id.' }),
  event_type: Type.String(),
  data: Type.Object({ id: Type.String() }),
  status: Type.Enum([...deliveryStatuses], {
    type: 'string',
    description: 'pending; delivered: answered with 2xx; failed: not delivered within a day.',
  }),
  attempts: Type.Integer(),
  last_attempt_at: nullable(Time),
  last_status: nullable(Type.Integer({ description: 'Of the last answer.' })),
  last_error: nullable(Type.String()),
  next_attempt_at: nullable(Time, {
    description: 'At the earliest: earlier events of the same job come first.',
  }),
  expires_at: nullable(Time, { description: 'When delivery attempts end.' }),
  ended_at: nullable(Time),
});

export const WebhookParams = Type.Object({ webhook_id: Type.String() });
export const DeliveryParams = Type.Object({ webhook_id: Type.String(), delivery_id: Type.String() });
export const ListWebhooksQuery = input({ after: After, limit: limit(maxEndpoints, maxEndpoints) });
export const ListDeliveriesQuery = input({
  status: Type.Optional(Type.Enum([...deliveryStatuses], { type: 'string' })),
  after: After,
  limit: limit(20, 100),
});

export function toWireWebhook(endpoint: WebhookEndpoint): Static<typeof WebhookSchema> {
  return {
    id: endpoint.id,
    object: 'webhook.endpoint',
    created_at: unixSeconds(endpoint.createdAt),
    url: endpoint.url,
    description: endpoint.description,
    events: endpoint.events,
    enabled: endpoint.disabledAt === null,
    disabled_at: endpoint.disabledAt && unixSeconds(endpoint.disabledAt),
    disabled_reason: endpoint.disabledReason,
    failing_since: endpoint.failingSince && unixSeconds(endpoint.failingSince),
  };
}

export function toWireDelivery(delivery: WebhookDelivery): Static<typeof DeliverySchema> {
  const isPending = delivery.status === 'pending';
  return {
    id: delivery.id,
    object: 'webhook.delivery',
    created_at: unixSeconds(delivery.createdAt),
    webhook_id: delivery.endpointId,
    event_id: delivery.eventId,
    event_type: delivery.type,
    data: { id: delivery.subject },
    status: delivery.status,
    attempts: delivery.attempts,
    last_attempt_at: delivery.lastAttemptAt && unixSeconds(delivery.lastAttemptAt),
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    next_attempt_at: isPending ? unixSeconds(delivery.nextAttemptAt) : null,
    expires_at: isPending ? unixSeconds(delivery.expiresAt) : null,
    ended_at: delivery.endedAt && unixSeconds(delivery.endedAt),
  };
}

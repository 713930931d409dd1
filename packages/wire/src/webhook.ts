import { Type } from 'typebox';
import { makerFields } from './adapters/exit.ts';
import { After, limit } from './list.ts';
import {
  defaultWebhookEvents,
  deliveryStatuses,
  maxEndpoints,
  type WebhookEvent,
  webhookEvents,
} from './lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, Time } from './schema.ts';

const Event = Type.Unsafe<WebhookEvent>({ type: 'string', enum: [...webhookEvents] });
const Url = Type.String({
  minLength: 1,
  maxLength: 2048,
  description:
    'URL of the endpoint: https, port 443 or 8443, on a public host. The operator can allow other URLs (GRAFT_WEBHOOK_ALLOW).',
});
const Description = nullable(Type.String({ maxLength: 256 }), {
  description: 'Description of the endpoint, for people.',
});
const Events = (options: object = {}) =>
  Type.Array(Event, {
    minItems: 1,
    maxItems: webhookEvents.length,
    description: 'Types of events that the endpoint receives.',
    ...options,
  });

export const WebhookSchema = named('WebhookEndpoint', {
  id: Type.String(),
  object: Type.Literal('webhook.endpoint'),
  created_at: Time,
  url: Type.String(),
  description: nullable(Type.String()),
  events: Type.Array(Event),
  enabled: Type.Boolean({
    description:
      'Whether events are sent to the endpoint. If false, new events are not stored for it either.',
  }),
  disabled_at: nullable(Time),
  disabled_reason: nullable(Type.String()),
  ...makerFields('set the URL or enabled the endpoint', 'disables the endpoint'),
  failing_since: nullable(Time, {
    description:
      'Unix timestamp (in seconds) of the first failure since the last successful delivery. Null if there is none.',
  }),
});

export const WebhookWithSecretSchema = named('WebhookEndpointWithSecret', {
  ...WebhookSchema.properties,
  secret: Type.String({
    description: 'Secret (`whsec_…`) that verifies signatures. It is returned only once.',
  }),
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
    Type.Boolean({
      description:
        'Whether events are sent to the endpoint. True also clears earlier failures and immediately sends pending deliveries.',
    }),
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
      description:
        'Number of seconds for which earlier secrets keep signing, too. 0: earlier secrets stop signing immediately.',
    }),
  ),
});

export const DeletedWebhookSchema = deletedSchema('DeletedWebhookEndpoint', 'webhook.endpoint');

export const WebhookTestSchema = named('WebhookTest', {
  object: Type.Literal('webhook.test'),
  event_id: Type.String({ description: '`webhook-id` of the test event.' }),
});

export const DeliverySchema = named('WebhookDelivery', {
  id: Type.String(),
  object: Type.Literal('webhook.delivery'),
  created_at: Time,
  webhook_id: Type.String({ description: 'Id of the endpoint.' }),
  event_id: Type.String({ description: 'Value of the header `webhook-id`.' }),
  event_type: Type.String(),
  data: Type.Object({ id: Type.String() }),
  status: oneOf(deliveryStatuses, {
    description:
      '`pending`: not delivered yet. `delivered`: the endpoint responded with 2xx. `failed`: not delivered within a day.',
  }),
  attempts: Type.Integer(),
  last_attempt_at: nullable(Time),
  last_status: nullable(
    Type.Integer({ description: 'HTTP status of the last response. Null if there was none.' }),
  ),
  last_error: nullable(Type.String()),
  next_attempt_at: nullable(Time, {
    description:
      'Unix timestamp (in seconds) of the earliest next attempt; earlier events of the same job are sent first. Null unless pending.',
  }),
  expires_at: nullable(Time, {
    description: 'Unix timestamp (in seconds) after which no further attempts are made. Null unless pending.',
  }),
  ended_at: nullable(Time),
});

export const WebhookParams = Type.Object({ webhook_id: Type.String() });
export const DeliveryParams = Type.Object({ webhook_id: Type.String(), delivery_id: Type.String() });
export const ListWebhooksQuery = input({ after: After, limit: limit(maxEndpoints, maxEndpoints) });
export const ListDeliveriesQuery = input({
  status: Type.Optional(oneOf(deliveryStatuses)),
  after: After,
  limit: limit(20, 100),
});

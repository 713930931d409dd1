/** Webhook endpoints and their deliveries, as the API returns them. */
import type { CreateWebhookEndpoint, WebhookEndpoint } from './generated/wire.ts';

export type {
  WebhookDelivery,
  WebhookEndpoint as Webhook,
  WebhookEndpointWithSecret as WebhookWithSecret,
  WebhookTest,
} from './generated/wire.ts';

export type WebhookEventType = WebhookEndpoint['events'][number];

export type WebhookParams = Partial<CreateWebhookEndpoint>;

/** Webhook endpoints and what was sent to them, as the API writes them. */
import type { CreateWebhookEndpoint, WebhookEndpoint } from './generated/wire.ts';

export type {
  WebhookDelivery,
  WebhookEndpoint as Webhook,
  WebhookEndpointWithSecret as WebhookWithSecret,
  WebhookTest,
} from './generated/wire.ts';

export type WebhookEventType = WebhookEndpoint['events'][number];

export type WebhookParams = Partial<CreateWebhookEndpoint>;

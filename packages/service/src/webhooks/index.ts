export * from './deliver/webhook-sender.ts';
export { listDeliveries, resendDelivery, testWebhook } from './deliveries.ts';
export * from './manage-endpoints.ts';
export { SendLimitExceeded } from './take-send.ts';
export type { WebhookDelivery, WebhookEndpoint } from './webhook.ts';

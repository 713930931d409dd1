import type { CreateWebhookEndpoint, UpdateWebhookEndpoint } from '@graft/wire/types';
import { PageList } from '../page-list.ts';
import type { Transport } from '../transport.ts';
import type { Deleted, Webhook, WebhookDelivery, WebhookTest, WebhookWithSecret } from '../types.ts';

/** Endpoints to which a team's events are sent; for keys with the role admin. */
export class Webhooks {
  readonly #transport: Transport;
  readonly deliveries: WebhookDeliveries;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.deliveries = new WebhookDeliveries(transport);
  }

  /**
   * Creates an endpoint. The response contains the secret, which cannot be shown again. Not retried: a second endpoint would get every
   * event twice.
   */
  create(params: CreateWebhookEndpoint): Promise<WebhookWithSecret> {
    return this.#transport.json({ method: 'POST', path: '/webhooks', json: params, maxRetries: 0 });
  }

  list(params: { limit?: number; after?: string } = {}): PageList<Webhook> {
    return new PageList(this.#transport, '/webhooks', params);
  }

  retrieve(id: string): Promise<Webhook> {
    return this.#transport.json({ method: 'GET', path: webhookPath(id) });
  }

  /** Fields that are not given stay unchanged. */
  update(id: string, params: UpdateWebhookEndpoint): Promise<Webhook> {
    return this.#transport.json({ method: 'POST', path: webhookPath(id), json: params });
  }

  delete(id: string): Promise<Deleted> {
    return this.#transport.json({ method: 'DELETE', path: webhookPath(id) });
  }

  /** Creates a new secret. For `overlap_seconds`, by default a day, the previous secrets sign, too. Not retried. */
  rotateSecret(id: string, params: { overlap_seconds?: number } = {}): Promise<WebhookWithSecret> {
    return this.#transport.json({
      method: 'POST',
      path: `${webhookPath(id)}/rotate_secret`,
      json: params,
      maxRetries: 0,
    });
  }

  /** Sends a `webhook.test` event. */
  test(id: string): Promise<WebhookTest> {
    return this.#transport.json({ method: 'POST', path: `${webhookPath(id)}/test` });
  }
}

class WebhookDeliveries {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists deliveries, newest first. */
  list(
    webhookId: string,
    params: { status?: WebhookDelivery['status']; limit?: number; after?: string } = {},
  ): PageList<WebhookDelivery> {
    return new PageList(this.#transport, `${webhookPath(webhookId)}/deliveries`, params);
  }

  resend(webhookId: string, id: string): Promise<WebhookDelivery> {
    const path = `${webhookPath(webhookId)}/deliveries/${encodeURIComponent(id)}/resend`;
    return this.#transport.json({ method: 'POST', path });
  }
}

const webhookPath = (id: string): string => `/webhooks/${encodeURIComponent(id)}`;

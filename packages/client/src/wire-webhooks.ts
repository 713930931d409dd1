/** Webhook endpoints and what was sent to them, as the API writes them. */

export type WebhookEventType =
  | 'fine_tuning.job.succeeded'
  | 'fine_tuning.job.failed'
  | 'fine_tuning.job.cancelled'
  | 'fine_tuning.job.running'
  | 'fine_tuning.job.paused'
  | 'budget.warning'
  | 'budget.exceeded';

export interface WebhookParams {
  url?: string;
  description?: string | null;
  /** Default: how jobs end. */
  events?: WebhookEventType[];
}

/** An endpoint of a team's. */
export interface Webhook {
  id: string;
  object: 'webhook.endpoint';
  created_at: number;
  url: string;
  description: string | null;
  events: WebhookEventType[];
  enabled: boolean;
  disabled_at: number | null;
  disabled_reason: string | null;
  /** The first failure since anything was last delivered. */
  failing_since: number | null;
}

export interface WebhookWithSecret extends Webhook {
  /** `whsec_…`, never shown again. */
  secret: string;
}

export interface WebhookTest {
  object: 'webhook.test';
  event_id: string;
}

/** One event for one endpoint. */
export interface WebhookDelivery {
  id: string;
  object: 'webhook.delivery';
  created_at: number;
  webhook_id: string;
  event_id: string;
  event_type: string;
  data: { id: string };
  status: 'pending' | 'delivered' | 'failed';
  attempts: number;
  last_attempt_at: number | null;
  last_status: number | null;
  last_error: string | null;
  next_attempt_at: number | null;
  expires_at: number | null;
  ended_at: number | null;
}

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  createWebhook,
  deleteWebhook,
  getWebhook,
  listDeliveries,
  listWebhooks,
  resendDelivery,
  rotateWebhookSecret,
  testWebhook,
  updateWebhook,
  type WebhookDelivery,
  type WebhookEndpoint,
  type WithSecret,
} from '@graft/service/webhooks';
import { listOf } from '@graft/wire/list';
import { defaultWebhookEvents } from '@graft/wire/lists';
import { ref } from '@graft/wire/schema';
import {
  DeletedWebhookSchema,
  DeliveryParams,
  DeliverySchema,
  ListDeliveriesQuery,
  ListWebhooksQuery,
  NewWebhookSchema,
  RotationSchema,
  usualOverlap,
  WebhookChangesSchema,
  WebhookParams,
  WebhookSchema,
  WebhookTestSchema,
  WebhookWithSecretSchema,
} from '@graft/wire/webhook';
import type { Static } from 'typebox';
import { toWireMaker } from '../answers/exit.ts';
import { toWireList, unixSeconds } from '../answers/list.ts';
import { found } from '../not-found.ts';
import { operations } from './operation.ts';

const operation = operations('Webhooks');
/** Reading also requires an admin, since a receiver's URL often contains its token. */
const reading = { access: { scope: 'webhooks:read', role: 'admin', models: 'all' } } as const;
/** All models, since an endpoint receives the events of every job. */
const changeAccess = { scope: 'webhooks:write', role: 'admin', models: 'all' } as const;
const writing = { access: { ...changeAccess, answer: 'own' } } as const;
const changing = { access: { ...changeAccess, answer: 'webhooks:read' } } as const;

/** /webhooks: endpoints that receive a team's events. docs/webhooks.md describes them. */
export const webhookRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.post(
    '/webhooks',
    operation(writing, 'Create a webhook endpoint', ref(WebhookWithSecretSchema), {
      description: 'The secret is returned only once.',
      body: ref(NewWebhookSchema),
    }),
    async ({ caller, body }) => {
      const { url, description = null, events = [...defaultWebhookEvents] } = body;
      return withSecret(await createWebhook(services, caller.teamId, { url, description, events }, caller));
    },
  );

  app.get(
    '/webhooks',
    operation(reading, 'List webhook endpoints', listOf(WebhookSchema), { querystring: ListWebhooksQuery }),
    async ({ caller, query }) =>
      toWireList(await listWebhooks(services, caller.teamId, query), toWireWebhook),
  );

  app.get(
    '/webhooks/:webhook_id',
    operation(reading, 'Get a webhook endpoint', ref(WebhookSchema), { params: WebhookParams }),
    async ({ caller, params: { webhook_id: id } }) =>
      toWireWebhook(found(await getWebhook(services, caller.teamId, id), 'webhook', id)),
  );

  app.post(
    '/webhooks/:webhook_id',
    operation(changing, 'Update a webhook endpoint', ref(WebhookSchema), {
      description: 'Omitted fields keep their values.',
      params: WebhookParams,
      body: ref(WebhookChangesSchema),
    }),
    async ({ caller, params: { webhook_id: id }, body }) =>
      toWireWebhook(found(await updateWebhook(services, caller.teamId, id, body, caller), 'webhook', id)),
  );

  app.delete(
    '/webhooks/:webhook_id',
    operation(writing, 'Delete a webhook endpoint', ref(DeletedWebhookSchema), {
      description: 'Also deletes its deliveries; pending ones are not sent.',
      params: WebhookParams,
    }),
    async ({ caller, params: { webhook_id: id } }) => {
      found(await deleteWebhook(services, caller.teamId, id, caller), 'webhook', id);
      return { id, object: 'webhook.endpoint' as const, deleted: true as const };
    },
  );

  app.post(
    '/webhooks/:webhook_id/rotate_secret',
    operation(changing, 'Rotate the secret of a webhook endpoint', ref(WebhookWithSecretSchema), {
      description:
        'Creates a new secret. Both secrets sign until the overlap ends, so that receivers can switch in the meantime.',
      params: WebhookParams,
      body: ref(RotationSchema),
    }),
    async ({ caller, params: { webhook_id: id }, body }) => {
      const overlapSeconds = body.overlap_seconds ?? usualOverlap;
      const rotated = await rotateWebhookSecret(services, caller.teamId, id, { overlapSeconds }, caller);
      return withSecret(found(rotated, 'webhook', id));
    },
  );

  app.post(
    '/webhooks/:webhook_id/test',
    operation(writing, 'Send a test event', ref(WebhookTestSchema), {
      description:
        'Sends a `webhook.test` event to this endpoint only. Limit for test events and resent deliveries of an endpoint together: a burst of ten, then ten per minute.',
      params: WebhookParams,
    }),
    async ({ caller, params: { webhook_id: id } }) => {
      const eventId = found(await testWebhook(services, caller.teamId, id, caller), 'webhook', id);
      return { object: 'webhook.test' as const, event_id: eventId };
    },
  );

  app.get(
    '/webhooks/:webhook_id/deliveries',
    operation(reading, 'List the deliveries of a webhook endpoint', listOf(DeliverySchema), {
      description: 'Newest first. Deliveries that are no longer pending are kept for 30 days.',
      params: WebhookParams,
      querystring: ListDeliveriesQuery,
    }),
    async ({ caller: { teamId }, params: { webhook_id: id }, query }) => {
      found(await getWebhook(services, teamId, id), 'webhook', id);
      return toWireList(await listDeliveries(services, teamId, id, query), toWireDelivery);
    },
  );

  app.post(
    '/webhooks/:webhook_id/deliveries/:delivery_id/resend',
    operation(changing, 'Resend a delivery', ref(DeliverySchema), {
      description:
        'Sends it with the same webhook-id, retrying for another day, also if it was delivered before. Limit for test events and resent deliveries of an endpoint together: a burst of ten, then ten per minute.',
      params: DeliveryParams,
    }),
    async ({ caller, params: { webhook_id: id, delivery_id: deliveryId } }) => {
      found(await getWebhook(services, caller.teamId, id), 'webhook', id);
      const delivery = await resendDelivery(services, caller.teamId, id, deliveryId, caller);
      return toWireDelivery(found(delivery, 'delivery', deliveryId));
    },
  );
};

function withSecret({ endpoint, secret }: WithSecret) {
  return { ...toWireWebhook(endpoint), secret };
}

function toWireWebhook(endpoint: WebhookEndpoint): Static<typeof WebhookSchema> {
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
    ...toWireMaker(endpoint),
    failing_since: endpoint.failingSince && unixSeconds(endpoint.failingSince),
  };
}

function toWireDelivery(delivery: WebhookDelivery): Static<typeof DeliverySchema> {
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

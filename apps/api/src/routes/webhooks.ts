import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  createWebhook,
  defaultWebhookEvents,
  deleteWebhook,
  getWebhook,
  listDeliveries,
  listWebhooks,
  resendDelivery,
  rotateWebhookSecret,
  testWebhook,
  updateWebhook,
  type WithSecret,
} from '@graft/service';
import { ApiError } from '../api-error.ts';
import { listOf, toWireList } from '../schemas/list.ts';
import { ref } from '../schemas/schema.ts';
import {
  DeletedWebhookSchema,
  DeliveryParams,
  DeliverySchema,
  ListDeliveriesQuery,
  ListWebhooksQuery,
  NewWebhookSchema,
  RotationSchema,
  toWireDelivery,
  toWireWebhook,
  usualOverlap,
  WebhookChangesSchema,
  WebhookParams,
  WebhookSchema,
  WebhookTestSchema,
  WebhookWithSecretSchema,
} from '../schemas/webhook.ts';
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
      description: 'The answer holds its secret, which is never shown again.',
      body: ref(NewWebhookSchema),
    }),
    async (request) => {
      const { caller } = request;
      const { url, description = null, events = [...defaultWebhookEvents] } = request.body;
      return withSecret(await createWebhook(services, caller.teamId, { url, description, events }, caller));
    },
  );

  app.get(
    '/webhooks',
    operation(reading, 'List webhook endpoints', listOf(WebhookSchema), { querystring: ListWebhooksQuery }),
    async (request) =>
      toWireList(await listWebhooks(services, request.caller.teamId, request.query), toWireWebhook),
  );

  app.get(
    '/webhooks/:webhook_id',
    operation(reading, 'Get a webhook endpoint', ref(WebhookSchema), { params: WebhookParams }),
    async (request) => {
      const id = request.params.webhook_id;
      return toWireWebhook(found(await getWebhook(services, request.caller.teamId, id), id));
    },
  );

  app.post(
    '/webhooks/:webhook_id',
    operation(changing, 'Change a webhook endpoint', ref(WebhookSchema), {
      description: 'What is absent stays as it is.',
      params: WebhookParams,
      body: ref(WebhookChangesSchema),
    }),
    async (request) => {
      const { caller } = request;
      const id = request.params.webhook_id;
      return toWireWebhook(found(await updateWebhook(services, caller.teamId, id, request.body, caller), id));
    },
  );

  app.delete(
    '/webhooks/:webhook_id',
    operation(writing, 'Delete a webhook endpoint', ref(DeletedWebhookSchema), {
      description: 'With its deliveries; what is pending is not sent any more.',
      params: WebhookParams,
    }),
    async (request) => {
      const { caller } = request;
      const id = request.params.webhook_id;
      if (!(await deleteWebhook(services, caller.teamId, id, caller))) throw webhookNotFound(id);
      return { id, object: 'webhook.endpoint' as const, deleted: true };
    },
  );

  app.post(
    '/webhooks/:webhook_id/rotate_secret',
    operation(changing, 'Make a new secret', ref(WebhookWithSecretSchema), {
      description: 'Both secrets sign until the overlap is over, so that receivers can change in between.',
      params: WebhookParams,
      body: ref(RotationSchema),
    }),
    async (request) => {
      const { caller } = request;
      const id = request.params.webhook_id;
      const overlapSeconds = request.body.overlap_seconds ?? usualOverlap;
      return withSecret(
        found(await rotateWebhookSecret(services, caller.teamId, id, { overlapSeconds }, caller), id),
      );
    },
  );

  app.post(
    '/webhooks/:webhook_id/test',
    operation(writing, 'Send a test event', ref(WebhookTestSchema), {
      description:
        'A `webhook.test`, to this endpoint alone. Ten test events and resent deliveries of an endpoint at once, then ten a minute.',
      params: WebhookParams,
    }),
    async (request) => {
      const { caller } = request;
      const id = request.params.webhook_id;
      const eventId = found(await testWebhook(services, caller.teamId, id, caller), id);
      return { object: 'webhook.test' as const, event_id: eventId };
    },
  );

  app.get(
    '/webhooks/:webhook_id/deliveries',
    operation(reading, 'List what was sent to an endpoint', listOf(DeliverySchema), {
      description: 'Newest first. Those that are over are kept for 30 days.',
      params: WebhookParams,
      querystring: ListDeliveriesQuery,
    }),
    async (request) => {
      const { teamId } = request.caller;
      const id = request.params.webhook_id;
      found(await getWebhook(services, teamId, id), id);
      return toWireList(await listDeliveries(services, teamId, id, request.query), toWireDelivery);
    },
  );

  app.post(
    '/webhooks/:webhook_id/deliveries/:delivery_id/resend',
    operation(changing, 'Send a delivery again', ref(DeliverySchema), {
      description:
        'Under the same webhook-id, and for another day. Also one that was delivered. Ten test events and resent deliveries of an endpoint at once, then ten a minute.',
      params: DeliveryParams,
    }),
    async (request) => {
      const { caller } = request;
      const { webhook_id: id, delivery_id: deliveryId } = request.params;
      found(await getWebhook(services, caller.teamId, id), id);
      const delivery = await resendDelivery(services, caller.teamId, id, deliveryId, caller);
      if (delivery) return toWireDelivery(delivery);
      throw new ApiError('webhook_delivery_not_found', `No such delivery: ${deliveryId}`, {
        param: 'delivery_id',
      });
    },
  );
};

function withSecret({ endpoint, secret }: WithSecret) {
  return { ...toWireWebhook(endpoint), secret };
}

function found<T>(value: T | null, id: string): T {
  if (value === null) throw webhookNotFound(id);
  return value;
}

function webhookNotFound(id: string): ApiError {
  return new ApiError('webhook_not_found', `No such webhook endpoint: ${id}`, { param: 'webhook_id' });
}

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
import { errorResponses } from '../schemas/error.ts';
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

const tags = ['Webhooks'];
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
    {
      config: writing,
      schema: {
        tags,
        summary: 'Create a webhook endpoint',
        description: 'The answer holds its secret, which is never shown again.',
        body: ref(NewWebhookSchema),
        response: { 200: ref(WebhookWithSecretSchema), ...errorResponses(400, 401, 403) },
      },
    },
    async (request) => {
      const { caller } = request;
      const { url, description = null, events = [...defaultWebhookEvents] } = request.body;
      return withSecret(await createWebhook(services, caller.teamId, { url, description, events }, caller));
    },
  );

  app.get(
    '/webhooks',
    {
      config: reading,
      schema: {
        tags,
        summary: 'List webhook endpoints',
        querystring: ListWebhooksQuery,
        response: { 200: listOf(WebhookSchema), ...errorResponses(400, 401, 403) },
      },
    },
    async (request) =>
      toWireList(await listWebhooks(services, request.caller.teamId, request.query), toWireWebhook),
  );

  app.get(
    '/webhooks/:webhook_id',
    {
      config: reading,
      schema: {
        tags,
        summary: 'Get a webhook endpoint',
        params: WebhookParams,
        response: { 200: ref(WebhookSchema), ...errorResponses(401, 403, 404) },
      },
    },
    async (request) => {
      const id = request.params.webhook_id;
      return toWireWebhook(found(await getWebhook(services, request.caller.teamId, id), id));
    },
  );

  app.post(
    '/webhooks/:webhook_id',
    {
      config: changing,
      schema: {
        tags,
        summary: 'Change a webhook endpoint',
        description: 'What is absent stays as it is.',
        params: WebhookParams,
        body: ref(WebhookChangesSchema),
        response: { 200: ref(WebhookSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async (request) => {
      const { caller } = request;
      const id = request.params.webhook_id;
      return toWireWebhook(found(await updateWebhook(services, caller.teamId, id, request.body, caller), id));
    },
  );

  app.delete(
    '/webhooks/:webhook_id',
    {
      config: writing,
      schema: {
        tags,
        summary: 'Delete a webhook endpoint',
        description: 'With its deliveries; what is pending is not sent any more.',
        params: WebhookParams,
        response: { 200: ref(DeletedWebhookSchema), ...errorResponses(401, 403, 404) },
      },
    },
    async (request) => {
      const { caller } = request;
      const id = request.params.webhook_id;
      if (!(await deleteWebhook(services, caller.teamId, id, caller))) throw webhookNotFound(id);
      return { id, object: 'webhook.endpoint' as const, deleted: true };
    },
  );

  app.post(
    '/webhooks/:webhook_id/rotate_secret',
    {
      config: changing,
      schema: {
        tags,
        summary: 'Make a new secret',
        description: 'Both secrets sign until the overlap is over, so that receivers can change in between.',
        params: WebhookParams,
        body: ref(RotationSchema),
        response: { 200: ref(WebhookWithSecretSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
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
    {
      config: writing,
      schema: {
        tags,
        summary: 'Send a test event',
        description:
          'A `webhook.test`, to this endpoint alone. Ten test events and resent deliveries of an endpoint at once, then ten a minute.',
        params: WebhookParams,
        response: { 200: ref(WebhookTestSchema), ...errorResponses(400, 401, 403, 404, 429) },
      },
    },
    async (request) => {
      const { caller } = request;
      const id = request.params.webhook_id;
      const eventId = found(await testWebhook(services, caller.teamId, id, caller), id);
      return { object: 'webhook.test' as const, event_id: eventId };
    },
  );

  app.get(
    '/webhooks/:webhook_id/deliveries',
    {
      config: reading,
      schema: {
        tags,
        summary: 'List what was sent to an endpoint',
        description: 'Newest first. Those that are over are kept for 30 days.',
        params: WebhookParams,
        querystring: ListDeliveriesQuery,
        response: { 200: listOf(DeliverySchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async (request) => {
      const { teamId } = request.caller;
      const id = request.params.webhook_id;
      found(await getWebhook(services, teamId, id), id);
      return toWireList(await listDeliveries(services, teamId, id, request.query), toWireDelivery);
    },
  );

  app.post(
    '/webhooks/:webhook_id/deliveries/:delivery_id/resend',
    {
      config: changing,
      schema: {
        tags,
        summary: 'Send a delivery again',
        description:
          'Under the same webhook-id, and for another day. Also one that was delivered. Ten test events and resent deliveries of an endpoint at once, then ten a minute.',
        params: DeliveryParams,
        response: { 200: ref(DeliverySchema), ...errorResponses(401, 403, 404, 429) },
      },
    },
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

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  deleteIntegration,
  getIntegration,
  type Integration,
  listIntegrations,
  putIntegration,
} from '@graft/service/integrations';
import {
  DeletedIntegrationSchema,
  IntegrationParams,
  IntegrationSchema,
  PutIntegrationSchema,
} from '@graft/wire/integration';
import { listOf } from '@graft/wire/list';
import { type IntegrationType, integrationTypes } from '@graft/wire/lists';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { toWireMaker } from '../../answers/exit.ts';
import { toWireList, unixSeconds } from '../../answers/list.ts';
import { ApiError } from '../../api-error.ts';
import { operations } from '../operation.ts';

const operation = operations('Integrations');
const reading = { access: { scope: 'integrations:read', models: 'none' } } as const;
/** All models, since metrics of every job are sent to an integration. */
const changeAccess = { scope: 'integrations:write', role: 'admin', models: 'all' } as const;
const writing = { access: { ...changeAccess, answer: 'integrations:read' } } as const;
const deleting = { access: { ...changeAccess, answer: 'own' } } as const;

/** /integrations: a team's accounts for experiment tracking. docs/integrations.md describes what is sent. */
export const integrationRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/integrations',
    operation(reading, 'List integrations', listOf(IntegrationSchema), {
      description: 'At most one of each type. Secrets are never returned.',
    }),
    async ({ caller }) => {
      const data = await listIntegrations(services, caller.teamId);
      return toWireList({ data, hasMore: false }, toWireIntegration);
    },
  );

  app.get(
    '/integrations/:type',
    operation(reading, 'Get an integration', ref(IntegrationSchema), { params: IntegrationParams }),
    async ({ caller, params: { type } }) => {
      const integration = await getIntegration(services, caller.teamId, type);
      if (!integration) throw integrationNotFound(type);
      return toWireIntegration(integration);
    },
  );

  app.post(
    '/integrations/:type',
    operation(writing, 'Create or update an integration', ref(IntegrationSchema), {
      description:
        'Omitted fields keep their values. A secret belongs to one server: if you change the URL to another server, send the secret again.',
      params: IntegrationParams,
      body: ref(PutIntegrationSchema),
    }),
    async ({ caller, params, body }) =>
      toWireIntegration(await putIntegration(services, caller.teamId, typeOf(params.type), body, caller)),
  );

  app.delete(
    '/integrations/:type',
    operation(deleting, 'Delete an integration', ref(DeletedIntegrationSchema), {
      description:
        'Deletes the integration with its secret. Jobs that use it stop sending metrics and continue training.',
      params: IntegrationParams,
    }),
    async ({ caller, params: { type } }) => {
      const id = await deleteIntegration(services, caller.teamId, type, caller);
      if (id === null) throw integrationNotFound(type);
      return { id, object: 'integration' as const, deleted: true as const };
    },
  );
};

function typeOf(text: string): IntegrationType {
  const type = integrationTypes.find((known) => known === text);
  if (!type) throw integrationNotFound(text);
  return type;
}

function integrationNotFound(type: string): ApiError {
  const known = integrationTypes.join(', ');
  return new ApiError('integration_not_found', `No such integration: ${type}. Types are: ${known}.`, {
    param: 'type',
  });
}

function toWireIntegration(integration: Integration): Static<typeof IntegrationSchema> {
  return {
    id: integration.id,
    object: 'integration',
    created_at: unixSeconds(integration.createdAt),
    updated_at: unixSeconds(integration.updatedAt),
    type: integration.type,
    url: integration.url,
    username: integration.username,
    has_secret: integration.hasSecret,
    ...toWireMaker(integration),
    enabled: integration.disabledAt === null,
    disabled_reason: integration.disabledReason,
  };
}

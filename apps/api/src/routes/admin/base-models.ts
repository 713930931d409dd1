import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  type AccessChange,
  addBaseModel,
  changeModelAccess,
  findAddedModel,
  forgetBaseModel,
  hideBaseModel,
  listAddedModels,
  type Operator,
  readAccess,
  removeBaseModel,
  retryBaseModel,
} from '@graft/service';
import { ApiError } from '../../api-error.ts';
import {
  AddBaseModelSchema,
  AllowBaseModelSchema,
  BaseModelParams,
  BaseModelSchema,
  DeletedBaseModelSchema,
  DenyBaseModelSchema,
  ForgottenBaseModelSchema,
  ListBaseModelsQuery,
  toWireAdded,
  toWireConfigured,
  UpdateBaseModelSchema,
} from '../../schemas/base-model.ts';
import { listOf, toWireList } from '../../schemas/list.ts';
import { ref } from '../../schemas/schema.ts';
import { operation } from './operation.ts';

/** /admin/base-models: base models added at runtime, and which teams can use which model. Wakes `fetcher` when there is work for it. */
export const adminBaseModelRoutes: FastifyPluginAsyncTypebox<{ fetcher: { wake(): void } }> = async (
  app,
  { fetcher },
) => {
  const { services } = app;
  const { db, env } = services;
  const sources = [...env.baseModelSources, ...env.hubAllow.map((glob) => `hub:${glob}`)];

  /** Null: no such model. */
  async function read(id: string) {
    const access = async () => (await readAccess(db, [id])).get(id)!;
    const entry = (await services.baseModels.configured()).find((model) => model.id === id);
    if (entry) return toWireConfigured(entry, await access());
    if (services.baseModels.isConfigured(id)) return toWireConfigured({ id, source: 'hub' }, await access());
    const added = await findAddedModel(services, id);
    return added && toWireAdded(added, await access());
  }

  const unknown = (id: string) =>
    new ApiError('unknown_base_model', `No such base model: ${id}`, { param: 'base_model_id' });

  async function existing(id: string) {
    const model = await read(id);
    if (!model) throw unknown(id);
    return model;
  }

  app.get(
    '/admin/base-models',
    operation('List base models for the operator', listOf(BaseModelSchema), {
      description: 'Those of the configuration, then those that were added, newest first.',
      querystring: ListBaseModelsQuery,
    }),
    async ({ query: { after, limit } }) => {
      const configured = await services.baseModels.configured();
      const added = await listAddedModels(services);
      const ids = [...configured.map(({ id }) => id), ...added.map(({ modelId }) => modelId)];
      const start = after === undefined ? 0 : ids.indexOf(after) + 1;
      if (after !== undefined && start === 0)
        throw new ApiError('invalid_cursor', `No such object to list after: ${after}`, { param: 'after' });
      const access = await readAccess(db, ids.slice(start, start + limit));
      const data = [
        ...configured.map((entry) => ({
          id: entry.id,
          wire: () => toWireConfigured(entry, access.get(entry.id)!),
        })),
        ...added.map((model) => ({
          id: model.modelId,
          wire: () => toWireAdded(model, access.get(model.modelId)!),
        })),
      ].slice(start, start + limit);
      return toWireList({ data, hasMore: ids.length > start + limit }, ({ wire }) => wire());
    },
  );

  app.post(
    '/admin/base-models',
    operation('Add a base model', ref(BaseModelSchema), {
      description:
        'By a folder, a Hub id or a prefix of S3 that GRAFT_BASE_MODEL_SOURCES (or, of the Hub, GRAFT_HUB_ALLOW) names. It is fetched and verified in the background: `state` shows when teams find it.',
      body: ref(AddBaseModelSchema),
      errors: [404],
    }),
    async ({ operator, body }) => {
      const added = await addBaseModel(services, body, sources, operator);
      fetcher.wake();
      return await existing(added.modelId);
    },
  );

  app.get(
    '/admin/base-models/:base_model_id',
    operation('Get a base model for the operator', ref(BaseModelSchema), { params: BaseModelParams }),
    async ({ params }) => await existing(params.base_model_id),
  );

  app.post(
    '/admin/base-models/:base_model_id',
    operation('Hide an added base model, or show it again', ref(BaseModelSchema), {
      description: 'No team finds a hidden one; jobs that were accepted and adapters keep using it.',
      params: BaseModelParams,
      body: ref(UpdateBaseModelSchema),
    }),
    async ({ operator, params: { base_model_id: id }, body }) => {
      if (!(await hideBaseModel(services, id, body.hidden, operator))) throw unknown(id);
      return await existing(id);
    },
  );

  app.delete(
    '/admin/base-models/:base_model_id',
    operation('Remove an added base model', ref(DeletedBaseModelSchema), {
      description: 'Refused while jobs under way or adapters use it: hide it then.',
      params: BaseModelParams,
      errors: [400],
    }),
    async ({ operator, params: { base_model_id: id } }) => {
      if (!(await removeBaseModel(services, id, operator))) throw unknown(id);
      fetcher.wake();
      return { id, object: 'base_model' as const, deleted: true as const };
    },
  );

  app.post(
    '/admin/base-models/:base_model_id/retry',
    operation('Fetch a base model again that failed', ref(BaseModelSchema), {
      description:
        'Once the reason in `error` is fixed. The fetch continues with what was fetched, resolves the revision again, and has all attempts again.',
      params: BaseModelParams,
      errors: [400],
    }),
    async ({ operator, params: { base_model_id: id } }) => {
      if (!(await retryBaseModel(services, id, operator))) throw unknown(id);
      fetcher.wake();
      return await existing(id);
    },
  );

  app.post(
    '/admin/base-models/:base_model_id/forget',
    operation('Forget the weights of a base model', ref(ForgottenBaseModelSchema), {
      description:
        'After they were replaced on purpose: the next use records the new ones, where otherwise it is refused.',
      params: BaseModelParams,
    }),
    async ({ operator, params: { base_model_id: id } }) => ({
      id,
      object: 'base_model' as const,
      forgotten: await forgetBaseModel(services, id, operator),
    }),
  );

  async function change(id: string, access: AccessChange, operator: Operator) {
    await existing(id);
    await changeModelAccess(services, id, access, operator);
    return await existing(id);
  }

  app.post(
    '/admin/base-models/:base_model_id/allow',
    operation('Allow teams a base model', ref(BaseModelSchema), {
      description:
        'From then on only allowed teams find it, of the configuration or added. To a team without the permission the model does not exist, also as the base of its fine-tuned models.',
      params: BaseModelParams,
      body: ref(AllowBaseModelSchema),
    }),
    async ({ operator, params, body: { teams } }) =>
      await change(params.base_model_id, teams === null ? 'everyone' : { allow: teams }, operator),
  );

  app.post(
    '/admin/base-models/:base_model_id/deny',
    operation('Deny teams a base model', ref(BaseModelSchema), {
      description: 'These teams no longer find it; jobs that were accepted continue.',
      params: BaseModelParams,
      body: ref(DenyBaseModelSchema),
    }),
    async ({ operator, params, body: { teams } }) =>
      await change(params.base_model_id, { deny: teams }, operator),
  );
};

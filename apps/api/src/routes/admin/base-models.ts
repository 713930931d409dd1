import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  type AccessChange,
  type AddedModel,
  addBaseModel,
  changeModelAccess,
  findAddedModel,
  forgetBaseModel,
  hideBaseModel,
  listAddedModels,
  type ModelAccess,
  readAccess,
  removeBaseModel,
  retryBaseModel,
} from '@graft/service/added-models';
import type { ConfiguredEntry } from '@graft/service/base-models';
import type { Operator } from '@graft/service/keys';
import {
  AddBaseModelSchema,
  AllowBaseModelSchema,
  BaseModelParams,
  BaseModelSchema,
  DeletedBaseModelSchema,
  DenyBaseModelSchema,
  ForgottenBaseModelSchema,
  ListBaseModelsQuery,
  UpdateBaseModelSchema,
} from '@graft/wire/base-model';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { secondsOrNull, toWireList } from '../../answers/list.ts';
import { ApiError } from '../../api-error.ts';
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
    operation('List base models as operator', listOf(BaseModelSchema), {
      description: 'Configured models first, then added models, newest first.',
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
        'Adds a model from a folder, the Hub or S3. GRAFT_BASE_MODEL_SOURCES must allow the source, or GRAFT_HUB_ALLOW the Hub id. The model is fetched and verified in the background: `state` shows when teams can use it.',
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
    operation('Get a base model as operator', ref(BaseModelSchema), { params: BaseModelParams }),
    async ({ params }) => await existing(params.base_model_id),
  );

  app.post(
    '/admin/base-models/:base_model_id',
    operation('Hide or show an added base model', ref(BaseModelSchema), {
      description: 'No team can find a hidden model; accepted jobs and existing adapters keep using it.',
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
    operation('Delete an added base model', ref(DeletedBaseModelSchema), {
      description: 'Refused while unfinished jobs or adapters use the model; hide it instead.',
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
    operation('Retry fetching a failed base model', ref(BaseModelSchema), {
      description:
        'Use it after fixing the reason in `error`. The fetch resolves the revision again, keeps what was already fetched, and has the full number of attempts.',
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
    operation('Forget the recorded weights of a base model', ref(ForgottenBaseModelSchema), {
      description:
        'Use it after replacing the weights on purpose: the next use records the new weights, which would be refused otherwise.',
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
    operation('Allow teams to use a base model', ref(BaseModelSchema), {
      description:
        'After that, only allowed teams can use the model, whether it is configured or added. For other teams the model does not exist, not even as the base of their fine-tuned models.',
      params: BaseModelParams,
      body: ref(AllowBaseModelSchema),
    }),
    async ({ operator, params, body: { teams } }) =>
      await change(params.base_model_id, teams === null ? 'everyone' : { allow: teams }, operator),
  );

  app.post(
    '/admin/base-models/:base_model_id/deny',
    operation('Deny teams the use of a base model', ref(BaseModelSchema), {
      description: 'These teams can no longer find the model; accepted jobs continue.',
      params: BaseModelParams,
      body: ref(DenyBaseModelSchema),
    }),
    async ({ operator, params, body: { teams } }) =>
      await change(params.base_model_id, { deny: teams }, operator),
  );
};

type WireBaseModel = Static<typeof BaseModelSchema>;

const accessOf = ({ limited, allowed, denied }: ModelAccess) => ({
  limited,
  allowed_teams: allowed,
  denied_teams: denied,
});

function toWireConfigured(model: Pick<ConfiguredEntry, 'id' | 'source'>, access: ModelAccess): WireBaseModel {
  return {
    id: model.id,
    object: 'base_model',
    source: model.source,
    location: null,
    revision: null,
    commit: null,
    file: null,
    state: 'configured',
    model_type: null,
    bytes_done: 0,
    bytes_total: null,
    files: null,
    weights_sha256: null,
    error: null,
    hidden: false,
    ...accessOf(access),
    added_by: null,
    created_at: null,
    started_at: null,
    finished_at: null,
  };
}

function toWireAdded(model: AddedModel, access: ModelAccess): WireBaseModel {
  return {
    id: model.modelId,
    object: 'base_model',
    source: model.source,
    location: model.location,
    revision: model.revision,
    commit: model.commit,
    file: model.file,
    state: model.state,
    model_type: model.modelType,
    bytes_done: model.bytesDone,
    bytes_total: model.bytesTotal,
    files: model.files,
    weights_sha256: model.digest,
    error: model.error,
    hidden: model.hiddenAt !== null,
    ...accessOf(access),
    added_by: model.addedBy,
    created_at: secondsOrNull(model.createdAt),
    started_at: secondsOrNull(model.startedAt),
    finished_at: secondsOrNull(model.finishedAt),
  };
}

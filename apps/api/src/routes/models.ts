import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  type CheckpointAdapter,
  deleteFineTunedModel,
  deleteModelAlias,
  type FineTunedModel,
  findCheckpointModel,
  findFineTunedModel,
  findFineTunedModels,
  getModelAlias,
  isTag,
  listFineTunedModels,
  listModelAliases,
  type ModelAlias,
  setModelAlias,
} from '@graft/service/adapters';
import type { BaseModelEntry } from '@graft/service/base-models';
import { allowsModel, type ModelLimit } from '@graft/service/keys';
import { listOf } from '@graft/wire/list';
import { maxModelAliases } from '@graft/wire/lists';
import {
  DeletedModelAliasSchema,
  DeletedModelSchema,
  ListModelsQuery,
  ModelAliasParams,
  ModelAliasSchema,
  ModelSchema,
  SetModelAliasSchema,
} from '@graft/wire/model';
import { ref } from '@graft/wire/schema';
import { type Static, Type } from 'typebox';
import { toWireList, unixSeconds } from '../answers/list.ts';
import { ApiError } from '../api-error.ts';
import { found } from '../not-found.ts';
import { modelNotFound } from '../serving/find-model.ts';
import { operations } from './operation.ts';

const operation = operations('Models');
// Wildcards, since ids of Hub models contain slashes, and clients do not always escape them.
const ModelParams = Type.Object({ '*': Type.String({ description: 'Id of the model.' }) });
const readingAlias = { access: { scope: 'models:read', models: 'alias' } } as const;
const settingAlias = { access: { scope: 'models:write', models: 'alias', answer: 'models:read' } } as const;
const deletingAlias = { access: { scope: 'models:write', models: 'alias', answer: 'own' } } as const;

/** /models: base models, and the team's aliases and fine-tuned models; /model_aliases. */
export const modelRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/models',
    operation({ access: { scope: 'models:read', models: 'filtered' } }, 'List models', listOf(ModelSchema), {
      description: 'Base models first, then aliases, then fine-tuned models, newest first.',
      querystring: ListModelsQuery,
    }),
    async (request) => {
      const { after, limit } = request.query;
      const allowed = request.modelLimit();
      const known = (await services.baseModels.list(request.caller.teamId)).map(toWireBaseModel);
      const models = [
        ...known.filter(({ id }) => allowsModel(allowed, id)),
        ...(await aliasModels(request.caller.teamId, known, allowed)),
      ];
      const last = models.findIndex(({ id }) => id === after);
      // Fine-tuned models come last, so there are none of the others after one of them.
      const left = after === undefined || last !== -1 ? models.slice(last + 1) : [];
      const first = left.slice(0, limit);
      if (left.length > limit) return toWireList({ data: first, hasMore: true }, (model) => model);
      // Reads at least one fine-tuned model to know whether there is another page, even if other models fill this one.
      const page = await listFineTunedModels(services, request.caller.teamId, {
        after: last === -1 ? after : undefined,
        limit: Math.max(limit - first.length, 1),
        models: allowed,
      });
      const tuned = page.data.slice(0, limit - first.length).map(toWireFineTunedModel);
      const hasMore = page.hasMore || tuned.length < page.data.length;
      return toWireList({ data: [...first, ...tuned], hasMore }, (model) => model);
    },
  );

  app.get(
    '/models/*',
    operation({ access: { scope: 'models:read', models: 'model' } }, 'Get a model', ref(ModelSchema), {
      description: 'Returns a base model, a fine-tuned model, a tag, an alias, or a checkpoint of a job.',
      params: ModelParams,
    }),
    async (request) => {
      const id = request.params['*'];
      const { modelAlias: alias, caller } = request;
      const { teamId } = caller;
      const base = (await services.baseModels.list(teamId)).find((model) => model.id === id);
      if (base) return alias ? toWireAliasModel(alias, toWireBaseModel(base), teamId) : toWireBaseModel(base);
      const tuned = await findFineTunedModel(services, teamId, id);
      if (tuned && alias) return toWireAliasModel(alias, toWireFineTunedModel(tuned), teamId);
      const checkpoint = tuned ? null : await findCheckpointModel(services, teamId, id);
      if (checkpoint) return toWireCheckpointModel(checkpoint);
      if (!tuned) throw modelNotFound(id, { alias });
      // Under the requested name, which may be that of a tag.
      return { ...toWireFineTunedModel(tuned), id };
    },
  );

  /** The aliases within `allowed` whose model exists. A base model of the same name is listed instead of an alias. */
  async function aliasModels(teamId: string, known: WireModel[], allowed: ModelLimit): Promise<WireModel[]> {
    const bases = new Map(known.map((model) => [model.id, model]));
    const aliases = (await listModelAliases(services, teamId)).filter(
      ({ name, target }) => !bases.has(name) && allowsModel(allowed, target),
    );
    const names = aliases.flatMap(({ target }) => (bases.has(target) ? [] : [target]));
    const tuned = await findFineTunedModels(services, teamId, names);
    return aliases.flatMap((alias) => {
      const version = tuned.get(alias.target);
      const model = bases.get(alias.target) ?? (version && toWireFineTunedModel(version));
      return model ? [toWireAliasModel(alias, model, teamId)] : [];
    });
  }

  app.delete(
    '/models/*',
    operation(
      { access: { scope: 'models:write', models: 'model', answer: 'own' } },
      'Delete a fine-tuned model',
      ref(DeletedModelSchema),
      {
        description:
          'Deletes the adapter version, which can be restored for some days; its job remains. To delete a tag, use DELETE /v1/adapters/{id}/tags/{tag}.',
        params: ModelParams,
      },
    ),
    async (request) => {
      const id = request.params['*'];
      const { caller } = request;
      if (await services.baseModels.has(id, caller.teamId)) {
        throw new ApiError(
          'model_not_deletable',
          `${id} is a base model; only fine-tuned models can be deleted.`,
          { param: 'model' },
        );
      }
      if (!(await deleteFineTunedModel(services, caller.teamId, id, caller))) {
        const what = (await getModelAlias(services, caller.teamId, id))
          ? `an alias: delete it with DELETE /v1/model_aliases/${id}`
          : (await isTag(services, caller.teamId, id))
            ? 'a tag: delete it with DELETE /v1/adapters/{adapter_id}/tags/{tag}'
            : null;
        if (what === null) throw modelNotFound(id);
        throw new ApiError('model_not_deletable', `${id} is ${what}.`, { param: 'model' });
      }
      return { id, object: 'model' as const, deleted: true as const };
    },
  );

  app.get(
    '/model_aliases',
    operation(
      { access: { scope: 'models:read', models: 'filtered' } },
      'List model aliases',
      listOf(ModelAliasSchema),
      { description: `Sorted by name, all on one page: a team has at most ${maxModelAliases}.` },
    ),
    async (request) => {
      const allowed = request.modelLimit();
      const all = await listModelAliases(services, request.caller.teamId);
      const data = all.filter(({ target }) => allowsModel(allowed, target));
      return toWireList({ data, hasMore: false }, toWireAlias);
    },
  );

  app.get(
    '/model_aliases/:alias',
    operation(readingAlias, 'Get a model alias', ref(ModelAliasSchema), { params: ModelAliasParams }),
    async ({ caller, params: { alias: name } }) =>
      toWireAlias(found(await getModelAlias(services, caller.teamId, name), 'modelAlias', name)),
  );

  app.post(
    '/model_aliases/:alias',
    operation(settingAlias, 'Create or change a model alias', ref(ModelAliasSchema), {
      description:
        'Lets requests of your team name a model as their code already does: `gpt-4o-mini` for a version, a tag or a base model. Their answers name the model that answered.',
      params: ModelAliasParams,
      body: ref(SetModelAliasSchema),
    }),
    async ({ caller, params: { alias: name }, body: { target } }) =>
      toWireAlias(await setModelAlias(services, caller.teamId, { name, target }, caller)),
  );

  app.delete(
    '/model_aliases/:alias',
    operation(deletingAlias, 'Delete a model alias', ref(DeletedModelAliasSchema), {
      description: 'The model remains.',
      params: ModelAliasParams,
    }),
    async ({ caller, params: { alias: id } }) => {
      found(await deleteModelAlias(services, caller.teamId, id, caller), 'modelAlias', id);
      return { id, object: 'model.alias' as const, deleted: true as const };
    },
  );
};

type WireModel = Static<typeof ModelSchema>;

const taskOf = (peft: unknown): string | null =>
  (peft as { task_type?: string | null } | null)?.task_type ?? null;

function toWireBaseModel(model: BaseModelEntry): WireModel {
  return {
    id: model.id,
    object: 'model',
    created: unixSeconds(model.createdAt),
    owned_by: 'graft',
    base_model: null,
    hub: model.hub,
    task_type: null,
    adapter: null,
    job: null,
    alias_of: null,
  };
}

function toWireFineTunedModel(version: FineTunedModel): WireModel {
  return {
    id: version.modelName,
    object: 'model',
    created: unixSeconds(version.createdAt),
    owned_by: version.teamId,
    base_model: version.baseModel,
    hub: null,
    task_type: taskOf(version.peft),
    adapter: { id: version.adapterId, version: version.number },
    job: version.jobId,
    alias_of: null,
  };
}

function toWireCheckpointModel(checkpoint: CheckpointAdapter): WireModel {
  return {
    id: checkpoint.modelName,
    object: 'model',
    created: unixSeconds(checkpoint.createdAt),
    owned_by: checkpoint.teamId,
    base_model: checkpoint.baseModel,
    hub: null,
    task_type: taskOf(checkpoint.peft),
    adapter: null,
    job: checkpoint.jobId,
    alias_of: null,
  };
}

/** The alias as a model: what it points at, under its name. */
function toWireAliasModel({ name, target }: ModelAlias, model: WireModel, teamId: string): WireModel {
  const base_model = model.base_model ?? model.id;
  return { ...model, id: name, owned_by: teamId, base_model, alias_of: target };
}

function toWireAlias(alias: ModelAlias): Static<typeof ModelAliasSchema> {
  return {
    id: alias.name,
    object: 'model.alias',
    created_at: unixSeconds(alias.createdAt),
    updated_at: unixSeconds(alias.updatedAt),
    target: alias.target,
  };
}

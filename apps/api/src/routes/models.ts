import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  type CheckpointAdapter,
  deleteFineTunedModel,
  type FineTunedModel,
  findCheckpointModel,
  findFineTunedModel,
  isTag,
  listFineTunedModels,
} from '@graft/service/adapters';
import type { BaseModelEntry } from '@graft/service/base-models';
import { allowsModel } from '@graft/service/keys';
import { listOf } from '@graft/wire/list';
import { DeletedModelSchema, ListModelsQuery, ModelSchema } from '@graft/wire/model';
import { ref } from '@graft/wire/schema';
import { type Static, Type } from 'typebox';
import { toWireList, unixSeconds } from '../answers/list.ts';
import { ApiError } from '../api-error.ts';
import { modelNotFound } from '../serving/find-model.ts';
import { operations } from './operation.ts';

const operation = operations('Models');
// Wildcards, since ids of Hub models contain slashes, and clients do not always escape them.
const ModelParams = Type.Object({ '*': Type.String({ description: 'Id of the model.' }) });

/** /models: base models, and the team's fine-tuned models. */
export const modelRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/models',
    operation({ access: { scope: 'models:read', models: 'filtered' } }, 'List models', listOf(ModelSchema), {
      description: 'Base models first, then fine-tuned models, newest first.',
      querystring: ListModelsQuery,
    }),
    async (request) => {
      const { after, limit } = request.query;
      const allowed = request.modelLimit();
      const known = await services.baseModels.list(request.caller.teamId);
      const models = known.filter(({ id }) => allowsModel(allowed, id));
      const last = models.findIndex(({ id }) => id === after);
      // Base models come first, so there are none after a fine-tuned model.
      const left = after === undefined || last !== -1 ? models.slice(last + 1) : [];
      const base = left.slice(0, limit).map(toWireBaseModel);
      if (left.length > limit) return toWireList({ data: base, hasMore: true }, (model) => model);
      // Reads at least one fine-tuned model to know whether there is another page, even if base models fill this one.
      const page = await listFineTunedModels(services, request.caller.teamId, {
        after: last === -1 ? after : undefined,
        limit: Math.max(limit - base.length, 1),
        models: allowed,
      });
      const tuned = page.data.slice(0, limit - base.length).map(toWireFineTunedModel);
      const hasMore = page.hasMore || tuned.length < page.data.length;
      return toWireList({ data: [...base, ...tuned], hasMore }, (model) => model);
    },
  );

  app.get(
    '/models/*',
    operation({ access: { scope: 'models:read', models: 'model' } }, 'Get a model', ref(ModelSchema), {
      description: 'Returns a base model, a fine-tuned model, a tag, or a checkpoint of a job.',
      params: ModelParams,
    }),
    async (request) => {
      const id = request.params['*'];
      const base = (await services.baseModels.list(request.caller.teamId)).find((model) => model.id === id);
      if (base) return toWireBaseModel(base);
      const { teamId } = request.caller;
      const tuned = await findFineTunedModel(services, teamId, id);
      const checkpoint = tuned ? null : await findCheckpointModel(services, teamId, id);
      if (checkpoint) return toWireCheckpointModel(checkpoint);
      if (!tuned) throw modelNotFound(id);
      // Under the requested name, which may be that of a tag.
      return { ...toWireFineTunedModel(tuned), id };
    },
  );

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
        if (!(await isTag(services, caller.teamId, id))) throw modelNotFound(id);
        throw new ApiError(
          'model_not_deletable',
          `${id} is a tag: delete it with DELETE /v1/adapters/{adapter_id}/tags/{tag}.`,
          { param: 'model' },
        );
      }
      return { id, object: 'model' as const, deleted: true as const };
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
  };
}

import { isClassifier, writesText } from '@graft/peft-core/outlines';
import { findCheckpointModel, findFineTunedModel, type ModelAlias } from '@graft/service/adapters';
import type { GenerationRequest } from '@graft/service/channel';
import type { Services } from '@graft/service/services';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';

/** A model for a worker. `name` is the model's own name, even if the request names a tag. */
export type FoundModel = Pick<GenerationRequest, 'base_model' | 'adapter'> & { name: string };

export type ModelTask = 'write' | 'embed' | 'classify';

const uses: Record<ModelTask, { fits(task: string): boolean; lacks: string; remedy: string }> = {
  write: { fits: writesText, lacks: 'does not generate text', remedy: 'POST /v1/chat/completions' },
  embed: {
    fits: (task) => task === 'FEATURE_EXTRACTION',
    lacks: 'computes no embeddings',
    remedy: 'POST /v1/embeddings',
  },
  classify: {
    fits: (task) => isClassifier(task as Parameters<typeof isClassifier>[0]),
    lacks: 'classifies no texts',
    remedy: 'POST /v1/classify',
  },
};

/**
 * Finds the model that a request names, for what the request asks. Throws `model_not_found` (404), `unsupported_task` for an adapter of another
 * task. The task of a base model is known to workers only.
 */
export async function findModel(
  services: Services,
  { caller, modelAlias }: Pick<FastifyRequest, 'caller' | 'modelAlias'>,
  model: string,
  asked: ModelTask = 'write',
): Promise<FoundModel> {
  if (await services.baseModels.has(model, caller.teamId))
    return { name: model, base_model: model, adapter: null };
  const version =
    (await findFineTunedModel(services, caller.teamId, model)) ??
    (await findCheckpointModel(services, caller.teamId, model));
  if (!version) throw modelNotFound(model, { alias: modelAlias });
  // An adapter cannot be used without its base model.
  if (!(await services.baseModels.permits(version.baseModel, caller.teamId)))
    throw modelNotFound(model, { alias: modelAlias });
  const { base_model: trainedOn, peft } = version.lineage as {
    base_model: { digest: string };
    peft: { task_type: string };
  };
  const task = peft.task_type;
  if (!uses[asked].fits(task)) {
    const { remedy } = Object.values(uses).find(({ fits }) => fits(task)) ?? uses.write;
    throw new ApiError(
      'unsupported_task',
      `'${model}' does ${task} and ${uses[asked].lacks}; call it with ${remedy}.`,
      { param: 'model' },
    );
  }
  return {
    name: version.modelName,
    base_model: version.baseModel,
    adapter: {
      version_id: version.id,
      artifact: version.artifact,
      suspect: version.corruptAt !== null,
      base_digest: trainedOn.digest,
    },
  };
}

/** `alias`: as which the request names the model. */
export function modelNotFound(
  id: string,
  { param = 'model', alias = null }: { param?: string; alias?: ModelAlias | null } = {},
): ApiError {
  const named = alias ? `; the alias '${alias.name}' points at it` : '';
  return new ApiError('model_not_found', `The model '${id}' does not exist${named}.`, { param });
}

import { writesText } from '@graft/peft-core/outlines';
import {
  findCheckpointModel,
  findFineTunedModel,
  type GenerationRequest,
  type Identity,
  type Services,
} from '@graft/service';
import { ApiError } from '../api-error.ts';

/**
 * Finds the model that a request names, which must generate text. `name` is the model's own name, even if the request names a tag. Throws
 * `model_not_found` (404), `unsupported_task`.
 */
export async function findModel(
  services: Services,
  caller: Identity,
  model: string,
): Promise<Pick<GenerationRequest, 'base_model' | 'adapter'> & { name: string }> {
  if (await services.baseModels.has(model, caller.teamId))
    return { name: model, base_model: model, adapter: null };
  const version =
    (await findFineTunedModel(services, caller.teamId, model)) ??
    (await findCheckpointModel(services, caller.teamId, model));
  if (!version) throw modelNotFound(model);
  // An adapter cannot be used without its base model.
  if (!(await services.baseModels.permits(version.baseModel, caller.teamId))) throw modelNotFound(model);
  const { base_model: trainedOn, peft } = version.lineage as {
    base_model: { digest: string };
    peft: { task_type: string };
  };
  const task = peft.task_type;
  if (!writesText(task)) {
    throw new ApiError(
      'unsupported_task',
      `'${model}' does ${task} and does not generate text. Download it, and use it with \`graft score\` or HF PEFT.`,
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

export function modelNotFound(id: string, param = 'model'): ApiError {
  return new ApiError('model_not_found', `The model '${id}' does not exist.`, { param });
}

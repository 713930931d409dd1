import type { ResolvedTraining, TrainingOptions } from '@graft/peft-core/config';
import {
  type AdapterVersion,
  findCheckpointModel,
  findFineTunedModel,
  findVersionById,
} from '@graft/service/adapters';
import { allowsModel, type Identity } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import { findSuggestion } from '@graft/wire/suggested-models';
import { ApiError } from '../api-error.ts';

/**
 * Finds what a job starts from: a base model, and optionally a version of one of the team's adapters for it, named by `start_from`, or by
 * `model` as in OpenAI's requests. Throws ApiError `model_not_found` (400), `invalid_start`.
 */
export async function findStart(
  services: Services,
  caller: Identity,
  { model, start_from: startFrom }: { model: string; start_from?: string | null },
): Promise<{ baseModel: string; startFrom: AdapterVersion | null }> {
  if (await services.baseModels.has(model, caller.teamId)) {
    const version = startFrom ? await findVersion(services, caller, startFrom) : null;
    if (version && version.baseModel !== model) {
      throw new ApiError(
        'invalid_start',
        `${version.modelName} is an adapter of ${version.baseModel}, not of ${model}.`,
        { param: 'start_from' },
      );
    }
    return { baseModel: model, startFrom: version };
  }
  const version = await findFineTunedModel(services, caller.teamId, model);
  if (!version) {
    await refuseCheckpoint(services, caller, model, 'model');
    throw await modelNotFound(services, caller, model);
  }
  if (startFrom && (await findVersion(services, caller, startFrom)).id !== version.id) {
    throw new ApiError('invalid_start', 'model and start_from name two fine-tuned models: give one.', {
      param: 'start_from',
    });
  }
  if (!(await services.baseModels.has(version.baseModel, caller.teamId)))
    throw await modelNotFound(services, caller, version.baseModel);
  return { baseModel: version.baseModel, startFrom: version };
}

/** Finds a version by its name, a tag or its id. Treats another team's version as unknown. */
async function findVersion(services: Services, caller: Identity, text: string): Promise<AdapterVersion> {
  const isName = text.startsWith('ft:');
  const version = isName
    ? await findFineTunedModel(services, caller.teamId, text)
    : await findVersionById(services, caller.teamId, text);
  if (version && version.deletedAt === null) return version;
  if (isName) await refuseCheckpoint(services, caller, text, 'start_from');
  throw new ApiError('model_not_found', `No such adapter version: ${text}`, {
    status: 400,
    param: 'start_from',
  });
}

/** Rejects a checkpoint as a start: newer checkpoints replace it, while the start of a job must be kept. */
async function refuseCheckpoint(
  services: Services,
  { teamId }: Identity,
  name: string,
  param: string,
): Promise<void> {
  if (!(await findCheckpointModel(services, teamId, name))) return;
  throw new ApiError('invalid_start', `${name} is a checkpoint: promote it, and start from the version.`, {
    param,
  });
}

async function modelNotFound(
  services: Services,
  { teamId, models: limit }: Identity,
  id: string,
): Promise<ApiError> {
  const all = (await services.baseModels.list(teamId)).map((model) => model.id);
  const known = all.filter((model) => allowsModel(limit, model));
  return new ApiError(
    'model_not_found',
    `The model '${id}' does not exist. Base models: ${known.join(', ')}.${describeSuggestion(id)}`,
    { status: 400, param: 'model' },
  );
}

function describeSuggestion(name: string): string {
  const suggestion = findSuggestion(name);
  if (!suggestion) return '';
  const { id, hub, trainingGb } = suggestion;
  const add = `(${trainingGb} GB to train in nf4): graft admin base-models add ${id} --hub ${hub}`;
  return [id, hub.toLowerCase()].includes(name.toLowerCase())
    ? ` An operator can add it ${add}`
    : ` In its place, an operator can add ${hub} ${add}, and your team name it: graft models alias ${name} ${id}`;
}

/** Keeps the held-out examples of the adapter's training held out: the default `validation_seed` is that of the adapter. */
export function keepStartSplit(training: TrainingOptions, start: AdapterVersion | null): TrainingOptions {
  const { validation_seed: seed } = (start?.lineage.training ?? {}) as Partial<ResolvedTraining>;
  if (seed === undefined || !training.validation_split || training.validation_seed !== undefined)
    return training;
  return { ...training, validation_seed: seed };
}

/**
 * The chat template of the adapter that training continues from, with which it answers, and the prompts with which it was trained, none
 * if there are no fields. Null: those of the base model.
 */
export function keptOfStart(start: AdapterVersion | null) {
  const { chat_template: startTemplate = null, prompts = {} } = (start?.lineage.training ??
    {}) as Partial<ResolvedTraining>;
  return { startTemplate, startPrompts: start && prompts };
}

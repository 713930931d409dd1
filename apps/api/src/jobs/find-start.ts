import { isDeepStrictEqual } from 'node:util';
import {
  GraftError,
  type PeftConfig,
  parsePeftConfig,
  type ResolvedTraining,
  type TrainingOptions,
} from '@graft/peft-core/config';
import {
  type AdapterVersion,
  allowsModel,
  findCheckpointModel,
  findFineTunedModel,
  findVersionById,
  type Identity,
  type Services,
} from '@graft/service';
import { ApiError } from '../api-error.ts';

/**
 * What a job begins with: a base model, and perhaps a version of one of the team's adapters on it, which `start_from` names, or `model`
 * as OpenAI's requests do. Throws ApiError `model_not_found` (400), `invalid_start`.
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

/** By its name, a tag's, or its id. Another team's is answered like an unknown one. */
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

/** A checkpoint goes with newer ones, and what a job starts from must stay. */
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
    `The model '${id}' does not exist. Base models: ${known.join(', ')}.`,
    {
      status: 400,
      param: 'model',
    },
  );
}

/**
 * The configuration of an adapter that training goes on from, which a request may repeat, whole or in part, and not change: with
 * another rank the weights would not fit, with another scale they would mean something else. Throws GraftError `invalid_start`.
 */
export function checkPeftOfStart(given: unknown, ofStart: PeftConfig): PeftConfig {
  if (given === undefined) return ofStart;
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given);
  // What is left to Graft is what the adapter has.
  const wanted = isObject
    ? Object.fromEntries(Object.entries(given).filter(([, value]) => value !== 'auto'))
    : null;
  const type = wanted?.peft_type ?? ofStart.peft_type;
  // Of another method its options mean nothing here, but its name says enough.
  if (wanted && type !== ofStart.peft_type) throw differs('peft_type', ofStart);
  const parsed = parsePeftConfig(wanted ? { ...ofStart, ...wanted } : given) as unknown as Record<
    string,
    unknown
  >;
  for (const [name, value] of Object.entries(ofStart)) {
    if (!isDeepStrictEqual(parsed[name], value)) throw differs(name, ofStart);
  }
  return ofStart;
}

/** What the training of the adapter held out stays held out: a request that names no `validation_seed` has the same one. */
export function keepSplitOfStart(training: TrainingOptions, start: AdapterVersion | null): TrainingOptions {
  const { validation_seed: seed } = (start?.lineage.training ?? {}) as Partial<ResolvedTraining>;
  if (seed === undefined || !training.validation_split || training.validation_seed !== undefined)
    return training;
  return { ...training, validation_seed: seed };
}

function differs(name: string, ofStart: PeftConfig): GraftError {
  const value = JSON.stringify((ofStart as unknown as Record<string, unknown>)[name]);
  return new GraftError(
    'invalid_start',
    `an adapter goes on with its own configuration, whose ${name} is ${value}; leave peft out`,
    { param: `peft.${name}` },
  );
}

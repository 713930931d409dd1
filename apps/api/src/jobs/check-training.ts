import { isDeepStrictEqual } from 'node:util';
import {
  type Hyperparameters,
  namesOfSets,
  objectiveFor,
  type ResolvedTraining,
  type SweepTrial,
  type TrainingOptions,
  trainingMethods,
} from '@graft/peft-core/config';
import {
  checkFormats,
  checkSplit,
  checkTrainingMethod,
  eachTrial,
  lengthRead,
  needsModelTask,
  type PlannedTrials,
  planTrials,
  resolveTrials,
} from '@graft/peft-core/examples';
import { defaultTask } from '@graft/peft-core/outlines';
import type { AdapterVersion } from '@graft/service/adapters';
import type { LocalBaseModel } from '@graft/service/base-models';
import { type FileRecord, getFile } from '@graft/service/files';
import {
  epochOf,
  type JobFile,
  type JobFiles,
  type JobTrainingFile,
  type JobValidationFile,
  readJobFiles,
} from '@graft/service/jobs';
import { allowsModel, type Identity } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import { checkJobQuota, readQuota } from '@graft/service/teams';
import type { CreateJobSchema, EstimateJobSchema } from '@graft/wire/jobs/fine-tuning-job';
import { hyperparametersOf } from '@graft/wire/jobs/method';
import type { FastifyReply } from 'fastify';
import type { Static } from 'typebox';
import { ApiError } from '../api-error.ts';
import { canonicalJson } from './canonical-json.ts';
import { findStart, keepStartSplit, keptOfStart } from './find-start.ts';
import { openBaseModel } from './open-base-model.ts';
import type { OptionChecker } from './option-checker.ts';

export type TrainingBody = Static<typeof EstimateJobSchema>;
export type CreateJobBody = Static<typeof CreateJobSchema>;

export interface CheckedTraining extends PlannedTrials {
  baseModel: string;
  startFrom: AdapterVersion | null;
  files: JobFiles;
  /** The lists of files as they are stored with the job; null: not given. */
  trainingFiles: JobTrainingFile[] | null;
  validationFiles: JobValidationFile[] | null;
  /** `method.type`, or the default of the training file's format. */
  method: string;
  hyperparameters: Hyperparameters;
  /** Null: not given. */
  seed: number | null;
  /** Null: opening the model takes too long. */
  model: LocalBaseModel | null;
  /** Maximum tokens of an example. */
  lengthRead: number;
  /** Every training value of each trial, resolved as far as is possible without the base model. */
  resolved: ResolvedTraining[];
}

/** A request that waits for the check of its options and does not occupy its turn meanwhile. */
export type Waiting = Pick<FastifyReply, 'withoutTurn'>;

/** Milliseconds to open a base model. If that takes longer, options are checked against the model when the files are validated. */
const openModelPatience = 10_000;

/**
 * Checks everything about a job request except the content of its files: model, files, purpose, PEFT config, training options, target
 * modules, quota. Throws ApiError or GraftError; writes nothing.
 */
export async function checkTraining(
  services: Services,
  checker: OptionChecker,
  caller: Identity,
  request: TrainingBody,
  reply: Waiting,
): Promise<CheckedTraining> {
  const hyperparameters = checkMethod(request);
  const { baseModel, startFrom } = await findStart(services, caller, request);
  const { files, ...lists } = await checkFiles(services, caller, request);

  const quota = await readQuota(services, caller.teamId);
  const openModel = async () =>
    await reply.withoutTurn(
      async () => await openBaseModel(services, baseModel, AbortSignal.timeout(openModelPatience)),
    );
  const { file } = files.training[0]!;
  const { columns = file.columns } = (request.training ?? {}) as { columns?: unknown };
  // Another mapping of columns than the file's may read it in another format.
  const isFormatKnown = isDeepStrictEqual(columns, file.columns);
  const knownFormat = isFormatKnown ? file.format : null;
  // No base model is fetched that the team may not train.
  const decides =
    !startFrom && needsModelTask(request.peft, knownFormat) && allowsModel(quota?.models ?? null, baseModel);
  const deciding = decides ? await openModel() : null;
  const mapping = uploadedColumns(files, request);
  const plan = planTrials(
    { ...request, hyperparameters },
    {
      format: knownFormat,
      modelTask: deciding && defaultTask(deciding.config),
      startPeft: startFrom?.peft ?? null,
      maxRank: quota?.maxRank ?? undefined,
      complete: (given) => ({ ...(mapping && { columns: mapping }), ...keepStartSplit(given, startFrom) }),
    },
  );
  const { peft, training } = plan;
  const { hasLists } = files;
  const formatsOf = (role: 'training' | 'validation') =>
    files[role].map(({ file: { format, filename } }, i) => {
      const param = hasLists[role] ? `${role}_files[${i}]` : `${role}_file`;
      return { format, param, name: `${param} (${filename})` };
    });
  const formats = [...formatsOf('training'), ...formatsOf('validation')];
  if (isFormatKnown) checkFormats(peft, formats, hasLists.training || hasLists.validation);
  checkMix(request, training);
  const sets = lists.validationFiles?.map(({ name }) => name) ?? [];
  checkTrainingMethod(plan, request.method?.type, knownFormat, sets);
  const epoch = epochOf(files, training);
  const { method } = objectiveFor(peft.task_type, epoch.format, request.method?.type);
  const seed = request.seed ?? training.seed ?? null;
  if (training.seed !== undefined && training.seed !== seed) {
    throw new ApiError('invalid_training_option', `training.seed is ${training.seed}, but seed is ${seed}.`, {
      param: 'training.seed',
    });
  }
  const hasValidationFile = files.validation.length > 0;
  const heldParam = lists.validationFiles ? 'validation_files' : 'validation_file';
  checkSplit(training, hasValidationFile ? heldParam : null);

  const checkQuota = ({ peft, training }: SweepTrial) =>
    checkJobQuota(quota, { model: baseModel, peft, maxSeqLength: training.max_seq_length ?? null });
  // First, so that no base model is fetched that the team may not train.
  await eachTrial(plan, checkQuota);
  const model = await openModel();
  const job = {
    method,
    hyperparameters,
    continues: startFrom !== null,
    ...keptOfStart(startFrom),
    hasValidationFile,
    quotaLength: quota?.maxSeqLength ?? null,
  };
  // Only finds errors: the values are resolved when the files are validated, by which time the base model is available.
  const resolved = await resolveTrials(plan, job, epoch, model, {
    peft:
      model &&
      !startFrom &&
      (async (peft) => await reply.withoutTurn(async () => await checker.check(caller.teamId, peft, model))),
    resolved: checkQuota,
  });

  return {
    baseModel,
    startFrom,
    files,
    ...lists,
    method,
    hyperparameters,
    ...plan,
    seed,
    model,
    resolved,
    lengthRead: lengthRead(training, { ...job, ...epoch }, model),
  };
}

/** Returns the hyperparameters from `method`, or the top-level ones of older clients. */
function checkMethod(body: TrainingBody): Hyperparameters {
  const { method } = body;
  if (method && !trainingMethods.includes(method.type)) {
    const available = trainingMethods.map((name) => `"${name}"`).join(', ');
    throw new ApiError('unsupported_method', `method.type must be one of ${available}.`, {
      param: 'method.type',
    });
  }
  const [other] =
    Object.entries(method ?? {}).find(
      ([name, options]) => name !== 'type' && name !== method?.type && options !== null,
    ) ?? [];
  if (method && other !== undefined)
    throw new ApiError(
      'unsupported_method',
      `method.${other} has options of another method than method.type, "${method.type}"; send only one of them.`,
      { param: `method.${other}` },
    );
  const given = method && hyperparametersOf(method);
  if (given && body.hyperparameters && canonicalJson(given) !== canonicalJson(body.hyperparameters)) {
    throw new ApiError(
      'invalid_value',
      `Invalid 'hyperparameters': differs from method.${method.type}.hyperparameters; send the latter only.`,
      { param: 'hyperparameters' },
    );
  }
  return given ?? body.hyperparameters ?? {};
}

/** Finds all files of the request, and its lists with every value set. */
async function checkFiles(
  services: Services,
  caller: Identity,
  body: TrainingBody,
): Promise<Pick<CheckedTraining, 'files' | 'trainingFiles' | 'validationFiles'>> {
  const { training_file: only = null, validation_file: onlyHeld = null } = body;
  const { training_files: training = null, validation_files: validation = null } = body;
  checkOneOf('training_file', only, training);
  checkOneOf('validation_file', onlyHeld, validation);
  if (only === null && training === null)
    throw new ApiError('missing_required_parameter', "Missing required parameter: 'training_file'.", {
      param: 'training_file',
    });
  const trainingFiles =
    training?.map(({ file, weight = 1, epochs = 1 }): JobTrainingFile => ({ file, weight, epochs })) ?? null;
  const unnamed = validation?.map(({ file, name = null }) => ({ file, name: name ?? '' })) ?? null;
  const files = await readJobFiles(
    {
      trainingFileId: trainingFiles?.[0]?.file ?? only!,
      validationFileId: unnamed?.[0]?.file ?? onlyHeld,
      trainingFiles,
      validationFiles: unnamed,
    },
    async (file) => await checkFile(services, caller, file),
  );
  if (!validation) return { files, trainingFiles, validationFiles: null };
  const names = namesOfSets(
    validation.map(({ name }, i) => ({ name, filename: files.validation[i]!.file.filename })),
  );
  return {
    files: { ...files, validation: files.validation.map(({ file }, i) => ({ file, name: names[i]! })) },
    trainingFiles,
    validationFiles: validation.map(({ file }, i) => ({ file, name: names[i]! })),
  };
}

/** As in a job's own fields, the single file may be given beside the list: clients of OpenAI require it. It must be the first. */
function checkOneOf(
  param: JobFile['role'],
  only: string | null,
  several: readonly { file: string }[] | null,
): void {
  if (only === null || several === null || several[0]?.file === only) return;
  throw new ApiError(
    'invalid_value',
    `${param} is not the first of ${param}s; send only one of them, or the first file as ${param}.`,
    { param: `${param}s` },
  );
}

/** The mapping that the training files were uploaded with. One mapping applies to all files of a job. */
function uploadedColumns({ training }: JobFiles, { training: options }: TrainingBody): FileRecord['columns'] {
  const [first, ...others] = training.map(({ file }) => file.columns);
  const at = others.findIndex((columns) => JSON.stringify(columns) !== JSON.stringify(first));
  if (at === -1 || (options as { columns?: unknown } | null)?.columns !== undefined) return first!;
  throw new ApiError(
    'invalid_training_option',
    `training_files[${at + 1}] was uploaded with another mapping of columns than training_files[0]; set training.columns, which applies to all.`,
    { param: 'training.columns' },
  );
}

/** Each strategy reads one of the numbers of a file: another one would have no effect. */
function checkMix({ training_files: files }: TrainingBody, training: TrainingOptions): void {
  const { mix_strategy: strategy = 'concat' } = training;
  if (!files && training.mix_strategy !== undefined)
    throw new ApiError('invalid_training_option', 'training.mix_strategy needs training_files.', {
      param: 'training.mix_strategy',
    });
  const unused = strategy === 'concat' ? 'weight' : 'epochs';
  const at = files?.findIndex((file) => file[unused] !== undefined && file[unused] !== 1) ?? -1;
  if (at === -1) return;
  const message =
    unused === 'weight'
      ? 'has no meaning with training.mix_strategy "concat"; give epochs, or set "interleave_under" or "interleave_over"'
      : `has no meaning with training.mix_strategy "${strategy}"; give a weight, or set "concat"`;
  throw new ApiError('invalid_value', `training_files[${at}].${unused} ${message}.`, {
    param: `training_files[${at}].${unused}`,
  });
}

/** Treats another team's file as unknown. */
async function checkFile(services: Services, caller: Identity, { id, param }: JobFile): Promise<FileRecord> {
  const file = await getFile(services, caller.teamId, id);
  if (!file) throw new ApiError('file_not_found', `No such file: ${id}`, { status: 400, param });
  if (file.purpose !== 'fine-tune') {
    throw new ApiError(
      'invalid_file_purpose',
      `${id} has purpose "${file.purpose}"; upload it with "fine-tune".`,
      { param },
    );
  }
  return file;
}

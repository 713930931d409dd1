import {
  checkObjectiveOptions,
  choosePeft,
  defaultPeftWithin,
  GraftError,
  type Hyperparameters,
  objectiveFor,
  type PeftConfig,
  type PeftWarning,
  parsePeftConfig,
  parseSweep,
  parseTrainingOptions,
  peftWarnings,
  type ResolvedTraining,
  type Sweep,
  type SweepBaseRequest,
  type SweepTrial,
  type TrainingOptions,
  trainingMethods,
  trialsOf,
} from '@graft/peft-core/config';
import { checkFormat } from '@graft/peft-core/examples';
import {
  type AdapterVersion,
  type FileRecord,
  getFile,
  type Identity,
  type LocalBaseModel,
  readQuota,
  type Services,
} from '@graft/service';
import type { FastifyReply } from 'fastify';
import type { Static } from 'typebox';
import { ApiError } from '../api-error.ts';
import type { EstimateJobSchema } from '../schemas/jobs/fine-tuning-job.ts';
import { hyperparametersOf } from '../schemas/jobs/method.ts';
import { canonicalJson } from './canonical-json.ts';
import { checkTrialQuota, checkTrials, lengthLimits, lengthRead } from './check-trials.ts';
import { checkStartPeft, findStart, keepStartSplit } from './find-start.ts';
import { openBaseModel } from './open-base-model.ts';
import type { OptionChecker } from './option-checker.ts';

/** Model, data and options of a requested training. */
export type TrainingBody = Static<typeof EstimateJobSchema>;

/** A checked training request. */
export interface CheckedTraining {
  baseModel: string;
  startFrom: AdapterVersion | null;
  trainingFile: FileRecord;
  validationFile: FileRecord | null;
  /** `method.type`, or the default of the training file's format. */
  method: string;
  hyperparameters: Hyperparameters;
  /** Of a sweep: the configuration of its first trial. */
  peft: PeftConfig;
  training: TrainingOptions;
  /** Null: trains one configuration, which is the only trial. */
  sweep: Sweep | null;
  trials: SweepTrial[];
  /** Null: not given. */
  seed: number | null;
  /** Null: opening the model takes too long. */
  model: LocalBaseModel | null;
  /** Maximum tokens of an example. */
  lengthRead: number;
  /** Every training value of each trial, resolved as far as is possible without the base model. */
  resolved: ResolvedTraining[];
  /** Warnings about options missing in `peft`. */
  warnings: PeftWarning[];
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
  body: TrainingBody,
  reply: Waiting,
): Promise<CheckedTraining> {
  const hyperparameters = checkMethod(body);
  const { baseModel, startFrom } = await findStart(services, caller, body);
  const trainingFile = await checkFile(services, caller, 'training_file', body.training_file);
  const validationFile = body.validation_file
    ? await checkFile(services, caller, 'validation_file', body.validation_file)
    : null;

  const quota = await readQuota(services, caller.teamId);
  const otherwise = defaultPeftWithin(quota?.maxRank ?? null);
  const { training, sweep, trials } = parseOptions(body, startFrom, {
    startPeft: startFrom?.peft ?? null,
    hyperparameters,
    otherwise,
    columns: trainingFile.columns,
  });
  const [{ peft }] = trials as [SweepTrial];
  // Another mapping of columns than the file's may read it in another format.
  const isAsUploaded = training.columns === trainingFile.columns || training.columns === undefined;
  if (isAsUploaded && trainingFile.format) checkFormat(peft.task_type, trainingFile.format, 'training_file');
  if (isAsUploaded && validationFile?.format)
    checkFormat(peft.task_type, validationFile.format, 'validation_file');
  const { method } = objectiveFor(peft.task_type, trainingFile.format, body.method?.type);
  if (trainingFile.format) checkObjectiveOptions(training, trainingFile.format, method);
  const seed = body.seed ?? training.seed ?? null;
  if (training.seed !== undefined && training.seed !== seed) {
    throw new ApiError('invalid_training_option', `training.seed is ${training.seed}, but seed is ${seed}.`, {
      param: 'training.seed',
    });
  }
  if (body.validation_file && training.validation_split) {
    throw new ApiError(
      'invalid_training_option',
      'training.validation_split and validation_file exclude each other.',
      { param: 'training.validation_split' },
    );
  }

  // First, so that no base model is fetched that the team may not train.
  checkTrialQuota(quota, baseModel, { sweep, trials, training });
  const model = await reply.withoutTurn(
    async () => await openBaseModel(services, baseModel, AbortSignal.timeout(openModelPatience)),
  );
  const waiting: Pick<OptionChecker, 'check'> = {
    check: async (...args) => await reply.withoutTurn(async () => await checker.check(...args)),
  };
  // Only finds errors: the values are resolved when the files are validated, by which time the base model is available.
  const hasValidationFile = validationFile !== null;
  const options = { method, hyperparameters, startFrom, hasValidationFile, sweep };
  const team = { id: caller.teamId, quota };
  const base = { id: baseModel, local: model };
  const resolved = await checkTrials(waiting, team, trials, options, trainingFile, base);

  return {
    baseModel,
    startFrom,
    trainingFile,
    validationFile,
    method,
    hyperparameters,
    peft,
    training,
    sweep,
    trials,
    seed,
    model,
    resolved,
    warnings: startFrom ? [] : peftWarnings(body.peft),
    lengthRead: lengthRead(training, lengthLimits(trainingFile, training, quota, model)),
  };
}

/** Returns the hyperparameters from `method`, or the top-level ones of older clients. */
function checkMethod(body: TrainingBody): Hyperparameters {
  const { method } = body;
  const isOther = ([name, value]: [string, unknown]) =>
    name !== 'type' && name !== method?.type && value !== null;
  if (method && (!trainingMethods.includes(method.type) || Object.entries(method).some(isOther))) {
    const available = trainingMethods.map((name) => `"${name}"`).join(' or ');
    throw new ApiError('unsupported_method', `Only the method ${available} is available.`, {
      param: 'method.type',
    });
  }
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

/** Parses all options even if the first is invalid, to report all errors together. */
function parseOptions(
  body: TrainingBody,
  startFrom: AdapterVersion | null,
  {
    columns,
    ...given
  }: Required<Pick<SweepBaseRequest, 'startPeft' | 'hyperparameters' | 'otherwise'>> &
    Pick<FileRecord, 'columns'>,
) {
  const { startPeft, otherwise } = given;
  const faults: GraftError[] = [];
  const attempt = <T>(parse: () => T): T | null => {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof GraftError)) throw error;
      faults.push(error);
      return null;
    }
  };
  const peft = attempt<PeftConfig>(() =>
    startPeft
      ? checkStartPeft(body.peft, startPeft)
      : parsePeftConfig(choosePeft(body.peft ?? otherwise, otherwise)),
  );
  const training = attempt(() => {
    const options = keepStartSplit(parseTrainingOptions(body.training ?? {}), startFrom);
    return columns && options.columns === undefined ? { ...options, columns } : options;
  });
  const sweep = attempt(() => parseSweep(body.sweep));
  const [first] = faults;
  if (first) {
    throw new GraftError(first.code, faults.map((fault) => fault.message).join('; '), {
      param: first.param,
      details: faults.flatMap(({ details = [] }) => details),
    });
  }
  const trials = sweep
    ? trialsOf(sweep, { ...given, peft: body.peft, training: training! })
    : [{ peft: peft!, training: training! }];
  return { training: training!, sweep, trials };
}

/** Treats another team's file as unknown. */
async function checkFile(
  services: Services,
  caller: Identity,
  param: 'training_file' | 'validation_file',
  id: string,
): Promise<FileRecord> {
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

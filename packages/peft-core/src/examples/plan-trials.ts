/** From a request to the trials that it asks for, with every value: the same steps for a job of the service and for `graft train`. */
import { isDeepStrictEqual } from 'node:util';
import type { SentencePrompts } from '../base-model/sentence-prompts.ts';
import {
  checkMethodTask,
  checkObjectiveOptions,
  choosePeft,
  defaultPeftWithin,
  type EpochSize,
  GraftError,
  type Hyperparameters,
  nameTrial,
  objectiveFor,
  objectiveOf,
  type PeftConfig,
  type PeftWarning,
  parsePeftConfig,
  parseSweep,
  parseTrainingOptions,
  peftWarnings,
  type ResolvedTraining,
  resolveTraining,
  type Sweep,
  type SweepTrial,
  seqLengthLimit,
  type TrainingOptions,
  type TrainingRequest,
  trialName,
  trialsOf,
} from '../config/index.ts';
import { outlineOf, type TaskType } from '../outlines/index.ts';
import { isRecord } from '../schema/check-fields.ts';
import type { NamedFile } from './data-files.ts';
import { type FormatName, formatOf } from './formats/formats.ts';
import { checkFormat, inferPeft } from './task-formats.ts';

export interface PlannedTrials {
  /** Configuration of the first trial. */
  peft: PeftConfig;
  /** `training` of the request, parsed. */
  training: TrainingOptions;
  /** Null: trains one configuration, which is the only trial. */
  sweep: Sweep | null;
  trials: readonly SweepTrial[];
  /** Warnings about options missing in `peft`. */
  warnings: PeftWarning[];
}

/** Facts that the trials depend on besides the request. */
interface PlanFacts {
  /** Format of the training files; null: not known. */
  format: FormatName | null;
  /** Task of the base model; null: not known. */
  modelTask: TaskType | null;
  /** Configuration of the adapter that training continues from; null: training starts from the base model. */
  startPeft: PeftConfig | null;
  /** The largest rank that is chosen. */
  maxRank?: number | undefined;
  /** Adds options that the request leaves to its files and to the adapter that training continues from. */
  complete?(training: TrainingOptions): TrainingOptions;
}

/** Parses all options even if the first is invalid, to report all errors together. */
export function planTrials(
  request: { peft?: unknown; training?: unknown; sweep?: unknown; hyperparameters?: Hyperparameters },
  { format, modelTask, startPeft, maxRank, complete = (training) => training }: PlanFacts,
): PlannedTrials {
  const { hyperparameters = {} } = request;
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
  const given = startPeft ? request.peft : inferPeft(request.peft, format, modelTask);
  const peft = attempt(() =>
    startPeft
      ? checkStartPeft(given, startPeft)
      : parsePeftConfig(choosePeft(given ?? defaultPeftWithin(maxRank ?? null), { maxRank })),
  );
  const training = attempt(() => complete(parseTrainingOptions(request.training ?? {})));
  const sweep = attempt(() => parseSweep(request.sweep));
  const [first] = faults;
  if (first) {
    throw new GraftError(first.code, faults.map((fault) => fault.message).join('; '), {
      param: first.param,
      details: faults.flatMap(({ details = [] }) => details),
    });
  }
  const trials = sweep
    ? trialsOf(sweep, { peft: given, training: training!, hyperparameters, startPeft, maxRank })
    : [{ peft: peft!, training: training! }];
  return {
    peft: trials[0]!.peft,
    training: training!,
    sweep,
    trials,
    warnings: startPeft ? [] : peftWarnings(given),
  };
}

/**
 * Checks that task and options fit the requested method, and data of a format if it is known. `sets`: the names of validation files. Throws
 * `unsupported_method` and `invalid_training_option`.
 */
export function checkTrainingMethod(
  { peft: { task_type: task }, training }: Pick<PlannedTrials, 'peft' | 'training'>,
  method: string | null | undefined,
  format: FormatName | null,
  sets: readonly string[],
): void {
  if (method) checkMethodTask(method, task);
  if (method && format) objectiveOf(format, method);
  if (format) checkObjectiveOptions(training, format, objectiveFor(task, format, method).method, sets);
}

/** A data file, its name in messages, and its format; null: not known. */
interface FileFormat extends Pick<NamedFile, 'param'> {
  name: string;
  format: FormatName | null;
}

/** Checks that all files have a format that fits the task and, where there are lists of files, the same one. */
export function checkFormats(
  { task_type: task }: PeftConfig,
  files: readonly FileFormat[],
  hasLists: boolean,
): void {
  const known = files.flatMap((file) => (file.format ? [{ ...file, format: file.format }] : []));
  for (const { format, param } of known) checkFormat(task, format, param);
  const [first, ...others] = known;
  const other = others.find(({ format }) => format !== first!.format);
  if (!first || !other || !hasLists) return;
  throw new GraftError(
    'invalid_jsonl',
    `${other.name} has ${other.format} examples, and ${first.name} has ${first.format} examples; all files of a job have one format.`,
    { param: other.param },
  );
}

/** Throws `invalid_training_option` if validation data is both held out and in files. `param`: the field with files; null: none. */
export function checkSplit(
  { validation_split: split }: TrainingOptions,
  param: string | null | undefined,
): void {
  if (!param || !split) return;
  throw new GraftError(
    'invalid_training_option',
    `training.validation_split and ${param} exclude each other.`,
    { param: 'training.validation_split' },
  );
}

/** The parts of a job, besides the options of its trials, that their values depend on. */
type TrialsJob = Pick<
  TrainingRequest,
  | ('method' | 'hyperparameters' | 'hasValidationFile' | 'continues' | 'quotaLength')
  | ('startTemplate' | 'startPrompts')
>;

/** The facts about a base model that options are resolved with; null: it is not available yet. */
type TrialsModel = {
  config: Record<string, unknown>;
  smallFiles: { chatTemplate: string | null; prompts: SentencePrompts | null };
} | null;

/** An epoch of the training files. */
export interface TrialsData extends EpochSize {
  format: FormatName | null;
  /** Tokens of the longest example of all files; null or absent: not known. */
  longestExample?: number | null;
}

interface TrialChecks {
  /** Checks a configuration against the base model. May take seconds, so it is skipped for trials that another one covers. */
  peft?: ((peft: PeftConfig) => Promise<void>) | false | null;
  resolved?: (trial: SweepTrial<ResolvedTraining>) => void;
}

/**
 * Resolves every training value of each trial. Throws the errors of `resolveTraining` and of the checks, which name the trial and the field
 * of the sweep.
 */
export async function resolveTrials(
  plan: Pick<PlannedTrials, 'sweep' | 'trials'>,
  job: TrialsJob,
  { examples, answerCharacters, format, longestExample = null }: TrialsData,
  model: TrialsModel,
  checks: TrialChecks = {},
): Promise<ResolvedTraining[]> {
  const { sweep, trials } = plan;
  return await eachTrial(plan, async ({ peft, training }, i) => {
    if (checks.peft && !isCovered(i, trials)) await checks.peft(peft);
    const resolved = resolveTraining({
      ...job,
      ...lengthLimits(training, format, model),
      ...(model && {
        model: outlineOf(model.config),
        sentencePrompts: model.smallFiles.prompts,
        baseTemplate: model.smallFiles.chatTemplate,
      }),
      peft,
      training,
      exampleCount: examples ?? 0,
      answerCharacters,
      format,
      longestExample,
      ...(sweep && { trials: trials.length }),
    });
    checks.resolved?.({ peft, training: resolved });
    return resolved;
  });
}

/** Maximum tokens of a job's examples: the requested length, or the maximum of base model and quota. */
export const lengthRead = (
  training: TrainingOptions,
  { format, quotaLength }: Pick<TrialsData, 'format'> & Required<Pick<TrialsJob, 'quotaLength'>>,
  model: Pick<NonNullable<TrialsModel>, 'config'> | null,
): number =>
  training.max_seq_length ?? seqLengthLimit({ quotaLength, ...lengthLimits(training, format, model) });

const lengthLimits = (
  { overlong = 'error' }: TrainingOptions,
  format: TrialsData['format'],
  model: Pick<NonNullable<TrialsModel>, 'config'> | null,
) => ({
  ...(model && { contextLength: outlineOf(model.config).maxPositions }),
  splitsTexts: overlong === 'error' && Boolean(format && formatOf(format).splitsTexts),
});

/** Runs `work` for each trial, in order. Errors name the trial and the field of the sweep. */
export async function eachTrial<T>(
  { sweep, trials }: Pick<PlannedTrials, 'sweep' | 'trials'>,
  work: (trial: SweepTrial, index: number) => Promise<T> | T,
): Promise<T[]> {
  const results: T[] = [];
  for (const [i, trial] of trials.entries()) {
    try {
      results.push(await work(trial, i));
    } catch (error) {
      throw sweep ? nameTrial(error, sweep, `trial ${i + 1} (${trialName(trial)})`) : error;
    }
  }
  return results;
}

/** Checks whether another trial's check covers this one: a check may take seconds, so of trials that differ only in rank one is checked. */
function isCovered(index: number, trials: readonly SweepTrial[]): boolean {
  const [own, others] = apart(trials[index]!);
  return trials.some((trial, i) => {
    const [rank, rest] = apart(trial);
    const isFirst = rank === own && i < index;
    return i !== index && (rank > own || isFirst) && isDeepStrictEqual(rest, others);
  });
}

/** Splits the configuration of a trial into its rank and the rest. */
function apart({ peft }: SweepTrial): [rank: number, rest: object] {
  const { r = 0, ...rest } = peft as { r?: number };
  return [r, rest];
}

/**
 * Returns the configuration of the adapter that training continues from. A request may repeat it, whole or in part, but not change it:
 * with another rank the weights would not fit, with another scale they would mean something else. Throws GraftError `invalid_start`.
 */
function checkStartPeft(given: unknown, startPeft: PeftConfig): PeftConfig {
  if (given === undefined) return startPeft;
  // Options left to Graft are those of the adapter.
  const wanted = isRecord(given)
    ? Object.fromEntries(Object.entries(given).filter(([, value]) => value !== 'auto'))
    : null;
  const type = wanted?.peft_type ?? startPeft.peft_type;
  // Options of another method are meaningless here; the method's name suffices for the error.
  if (wanted && type !== startPeft.peft_type) throw differs('peft_type', startPeft);
  const parsed: object = parsePeftConfig(wanted ? { ...startPeft, ...wanted } : given);
  for (const [name, value] of Object.entries(startPeft))
    if (!isDeepStrictEqual((parsed as Record<string, unknown>)[name], value)) throw differs(name, startPeft);
  return startPeft;
}

function differs(name: string, startPeft: object): GraftError {
  const value = JSON.stringify((startPeft as Record<string, unknown>)[name]);
  return new GraftError(
    'invalid_start',
    `training continues with the configuration of the adapter, whose ${name} is ${value}; omit peft`,
    { param: `peft.${name}` },
  );
}

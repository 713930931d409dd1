/** From a request to the trials that it asks for, with every value: the same steps for a job of the service and for `graft train`. */
import { isDeepStrictEqual } from 'node:util';
import {
  checkMethodTask,
  checkObjectiveOptions,
  choosePeft,
  defaultPeftWithin,
  GraftError,
  type Hyperparameters,
  objectiveFor,
  objectiveOf,
  type PeftConfig,
  type PeftWarning,
  parsePeftConfig,
  parseSweep,
  parseTrainingOptions,
  peftWarnings,
  type Sweep,
  type SweepTrial,
  type TrainingOptions,
  trialsOf,
} from '../config/index.ts';
import type { TaskType } from '../outlines/outline.ts';
import { isRecord } from '../schema/check-fields.ts';
import { inferPeft } from './task-formats.ts';

export interface PlannedTrials {
  /** `training` of the request, parsed. */
  training: TrainingOptions;
  /** Null: trains one configuration, which is the only trial. */
  sweep: Sweep | null;
  trials: [SweepTrial, ...SweepTrial[]];
  /** Warnings about options missing in `peft`. */
  warnings: PeftWarning[];
}

/** What the trials depend on besides the request. */
export interface KnownStart {
  /** Format of the training files; null: not known. */
  format: string | null;
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
  { format, modelTask, startPeft, maxRank, complete = (training) => training }: KnownStart,
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
    training: training!,
    sweep,
    trials: trials as PlannedTrials['trials'],
    warnings: startPeft ? [] : peftWarnings(given),
  };
}

/**
 * Checks that the task, the requested method and the options fit data of a format, as far as it is known.
 * `sets`: the names of validation files. Throws `unsupported_method` and `invalid_training_option`.
 */
export function checkTrainingMethod(
  { training, trials: [{ peft }] }: Pick<PlannedTrials, 'training' | 'trials'>,
  method: string | null | undefined,
  format: string | null,
  sets: readonly string[],
): void {
  const { task_type: task } = peft;
  if (method) checkMethodTask(method, task);
  if (method && format) objectiveOf(format, method);
  if (format) checkObjectiveOptions(training, format, objectiveFor(task, format, method).method, sets);
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

import { type Static, type TSchema, Type } from 'typebox';
import { GraftError } from '../errors.ts';
import { EVAL_LOSS } from '../objectives/metrics.ts';
import { beta } from '../objectives/preference/beta.ts';
import {
  checkFields,
  cut,
  type Fault,
  isRecord,
  MAX_FAULTS,
  show,
  throwFaults,
} from '../schema/check-fields.ts';
import { nearest } from '../schema/nearest.ts';
import {
  defaultPeft,
  defaultPeftWithin,
  methods,
  type PeftConfig,
  type PeftType,
  peftTypes,
} from '../tuners/methods.ts';
import { choosePeft } from './choose-peft.ts';
import { parsePeftConfig } from './peft-config.ts';
import type { Hyperparameters, TrainingOptions } from './training-options.ts';

const MAX_TRIALS = 32;

const list = <Item extends TSchema>(item: Item, description: string) =>
  Type.Optional(Type.Array(item, { minItems: 1, maxItems: MAX_TRIALS, description }));

/** `sweep` of a job creation request: lists of values to try instead of a single value. */
export const SweepSchema = Type.Object(
  {
    learning_rate: list(
      Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
      'Instead of `training.learning_rate`. Left out: what `training` says, or each method’s own.',
    ),
    r: list(
      Type.Integer({ minimum: 1 }),
      'Instead of `peft.r`, of methods that have a rank. The other options, `lora_alpha` too, stay.',
    ),
    peft_type: list(
      Type.Enum(peftTypes, { type: 'string' }),
      'PEFT methods: that of `peft` with its options, each other one as docs/methods.md gives it.',
    ),
    beta: list(
      beta,
      'Instead of `training.preference.beta`, of methods that learn from preferences. Losses of different values do not compare, so `training.metric_for_best_model` must be another metric.',
    ),
  },
  {
    $id: 'Sweep',
    additionalProperties: false,
    description: `Each combination of these values is a trial, 2 to ${MAX_TRIALS} in all. The worse ones by validation loss are stopped early, and the best adapter is published.`,
  },
);
export type Sweep = Static<typeof SweepSchema>;

export interface SweepTrial<Training = TrainingOptions> {
  readonly peft: PeftConfig;
  readonly training: Training;
}

/** Parses `sweep` of a request; undefined and null mean no sweep. Codes: unknown_sweep_option, invalid_sweep. */
export function parseSweep(value: unknown): Sweep | null {
  if (value === undefined || value === null) return null;
  if (!isRecord(value)) throw sweepError('sweep', `must be an object of lists, got ${show(value)}`);
  const { properties } = SweepSchema;
  const faults: Fault[] = [];
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(properties, key) || value[key] === undefined) continue;
    if (faults.length >= MAX_FAULTS) break;
    const [near] = nearest(key, Object.keys(properties));
    const known = near ? `did you mean ${near}?` : `a sweep tries ${Object.keys(properties).join(', ')}`;
    faults.push({
      code: 'unknown_sweep_option',
      path: `sweep.${cut(key, 100)}`,
      message: `is not known; ${known}`,
    });
  }
  faults.push(...checkFields(value, properties, 'sweep', 'invalid_sweep'));
  if (faults.length === 0) faults.push(...faultsOfGrid(value as Sweep));
  throwFaults(faults);
  return value as Sweep;
}

function faultsOfGrid(sweep: Sweep): Fault[] {
  const lists = Object.entries(sweep).filter(([, values]) => values !== undefined) as [string, unknown[]][];
  const fault = (path: string, message: string): Fault => ({ code: 'invalid_sweep', path, message });
  const twice = lists.flatMap(([name, values]) => {
    const repeated = values.find((each, i) => values.indexOf(each) !== i);
    return repeated === undefined ? [] : [fault(`sweep.${name}`, `has ${show(repeated)} twice`)];
  });
  if (twice.length > 0) return twice;
  const trials = lists.reduce((product, [, values]) => product * values.length, 1);
  const grid = lists.map(([name, values]) => `${values.length} of ${name}`).join(' × ');
  if (trials > MAX_TRIALS)
    return [fault('sweep', `makes ${trials} trials (${grid}), and ${MAX_TRIALS} is the limit`)];
  if (trials === 1)
    return [fault('sweep', 'makes one trial; give two values of something, or leave sweep out')];
  return [];
}

/** The rest of a request with a sweep, as it was sent. */
export interface SweepBaseRequest {
  peft: unknown;
  /** Already parsed. */
  training: TrainingOptions;
  hyperparameters: Pick<Hyperparameters, 'learning_rate_multiplier' | 'beta'>;
  /** The configuration of the adapter that training continues from. */
  startPeft: PeftConfig | null;
  /** The largest rank that is chosen. */
  maxRank?: number | undefined;
}

/**
 * The trials of a sweep; those with the same method and rank are adjacent. Throws GraftError: the errors of `parsePeftConfig`, and
 * `invalid_sweep` for conflicts with the rest of the request.
 */
export function trialsOf(sweep: Sweep, request: SweepBaseRequest): SweepTrial[] {
  const { learning_rate: rates, r: ranks, peft_type: types, beta: betas } = sweep;
  checkBaseRequest(sweep, request);
  const peft = request.peft ?? (types ? undefined : defaultPeftWithin(request.maxRank ?? null));
  const bases = types ? types.map((type) => optionsOf(type, peft)) : [peft];
  const configs = bases.flatMap((base) =>
    request.startPeft ? [request.startPeft] : (ranks ?? [null]).map((r) => configOf(base, r, request, sweep)),
  );
  const trainings = (betas ?? [null]).map(
    (beta): TrainingOptions =>
      beta === null
        ? request.training
        : { ...request.training, preference: { ...request.training.preference, beta } },
  );
  return configs.flatMap((peft) =>
    (rates ?? [null]).flatMap((learning_rate) =>
      trainings.map((training) => ({
        peft,
        training: learning_rate === null ? training : { ...training, learning_rate },
      })),
    ),
  );
}

function configOf(base: unknown, r: number | null, { maxRank }: SweepBaseRequest, sweep: Sweep): PeftConfig {
  try {
    return parsePeftConfig(choosePeft(base, { r: r ?? undefined, maxRank }));
  } catch (error) {
    const type = isRecord(base) ? show(base.peft_type) : 'peft';
    throw nameTrial(error, sweep, r === null ? type : `${type}, r ${r}`);
  }
}

/** Adds the sweep's field and the trial to a GraftError about a value of the sweep; returns other errors unchanged. */
export function nameTrial(error: unknown, sweep: Sweep, trial: string): unknown {
  if (!(error instanceof GraftError)) return error;
  const { param } = error;
  const isMethods = sweep.peft_type !== undefined && param?.startsWith('peft.');
  const isBeta = sweep.beta !== undefined && /^training\.preference(\.beta)?$/.test(param ?? '');
  const field =
    sweep.r && param === 'peft.r' ? 'sweep.r' : isMethods ? 'sweep.peft_type' : isBeta ? 'sweep.beta' : null;
  if (field === null) return error;
  error.message = `${field}: ${trial}: ${error.message}`;
  return Object.assign(error, { param: field, details: [{ path: field, message: error.message }] });
}

/** A method's options: those given for it in the request, else its defaults, with the same task. */
function optionsOf(type: PeftType, given: unknown): unknown {
  if (isRecord(given) && given.peft_type === type) return given;
  if (methods[type].usualNeedsModel)
    throw sweepError(
      'sweep.peft_type',
      `${type} has no options that fit every model; name it in peft, with its options`,
    );
  const task = isRecord(given) && given.task_type !== undefined ? { task_type: given.task_type } : {};
  return { peft_type: type, ...task };
}

function checkBaseRequest(
  sweep: Sweep,
  { peft, training, hyperparameters, startPeft }: SweepBaseRequest,
): void {
  const { learning_rate: rates, r: ranks, peft_type: types, beta: betas } = sweep;
  const given = isRecord(peft) ? peft : {};
  if (betas && isMeasuredByLoss(training))
    throw sweepError(
      'sweep.beta',
      'losses of different values do not compare; set training.metric_for_best_model to another metric, such as eval_rewards_accuracy',
    );
  const { beta } = training.preference ?? {};
  if (betas && typeof beta === 'number' && !betas.includes(beta))
    throw sweepError('sweep.beta', `and training.preference.beta, which is ${beta}, exclude each other`);
  if (betas && typeof hyperparameters.beta === 'number')
    throw sweepError('sweep.beta', 'and hyperparameters.beta exclude each other');
  if (startPeft && (ranks ?? types))
    throw sweepError(
      `sweep.${ranks ? 'r' : 'peft_type'}`,
      'training continues an adapter with its own configuration; sweep learning_rate alone, or leave start_from out',
    );
  if (rates && typeof training.learning_rate === 'number' && !rates.includes(training.learning_rate))
    throw sweepError(
      'sweep.learning_rate',
      `and training.learning_rate, which is ${training.learning_rate}, exclude each other`,
    );
  const { learning_rate_multiplier: multiplier } = hyperparameters;
  if (rates && typeof multiplier === 'number')
    throw sweepError(
      'sweep.learning_rate',
      'and hyperparameters.learning_rate_multiplier exclude each other',
    );
  if (types && given.peft_type !== undefined && !types.includes(given.peft_type as PeftType))
    throw sweepError('sweep.peft_type', `lacks ${show(given.peft_type)}, which peft names`);
  if (!ranks) return;
  if (given.r !== undefined && given.r !== 'auto' && !ranks.includes(given.r as number))
    throw sweepError('sweep.r', `lacks ${show(given.r)}, which is peft.r; leave that out`);
  const type = (given.peft_type ?? defaultPeft.peft_type) as PeftType;
  const without = (types ?? [type]).filter(
    (each) => Object.hasOwn(methods, each) && !Object.hasOwn(methods[each].schema.properties, 'r'),
  );
  if (without.length > 0)
    throw sweepError('sweep.r', `${without.join(', ')} ${without.length > 1 ? 'have' : 'has'} no rank`);
}

const isMeasuredByLoss = ({ metric_for_best_model: metric = EVAL_LOSS }: TrainingOptions): boolean =>
  metric.endsWith('_loss');

function sweepError(param: string, message: string): GraftError {
  return new GraftError('invalid_sweep', `${param}: ${message}`, {
    param,
    details: [{ path: param, message }],
  });
}

/** Describes a trial by its method, rank and learning rate, in the terms of a request. */
export function trialName({
  peft,
  training,
}: SweepTrial<Pick<TrainingOptions, 'learning_rate' | 'preference'>>): string {
  const { r } = peft as { r?: number };
  const rate = training.learning_rate;
  const { beta } = training.preference ?? {};
  return [
    peft.peft_type,
    ...(r === undefined ? [] : [`r ${r}`]),
    ...(typeof rate === 'number' ? [`learning rate ${rate}`] : []),
    ...(typeof beta === 'number' ? [`beta ${beta}`] : []),
  ].join(', ');
}

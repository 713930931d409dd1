import {
  type DataSize,
  defaultPeft,
  parsePeftConfig,
  type ResolvedTraining,
  resolveTraining,
} from '@graft/peft-core/config';
import { familyOf } from '../../../packages/peft-core/src/outlines/families.ts';
import {
  type Experiment,
  isSameExperiment,
  isSameSetting,
  type LongResult,
  type LongTrial,
  type Setting,
} from './results.ts';

/** From this number of steps the rate is not raised for short runs; only such runs count for --check. */
export const FEWEST_STEPS = 1000;
/** Runs that differ in nothing else: fewer say as much of the seed as of the rate. */
export const SEEDS = 3;
const FIRST_SEED = 42;

/**
 * Tried beside the automatic rate, as multiples of it. Few, so that two cores finish in a night; rank, alpha and batch are compared in
 * short runs (scripts/sweep/grid.ts).
 */
const OTHER_RATES = [1 / 2, 2];
/** Of one task and model. */
export const RUNS = SEEDS * (1 + OTHER_RATES.length);

type Rated = Pick<Experiment, 'model_type' | 'hidden_size' | 'steps'>;

/** The options of a job without any. `steps` is its max_steps, so rows are seen as often as that takes. */
export function resolvedFor(of: Rated, size: DataSize): ResolvedTraining {
  const { rateExponent } = familyOf(of.model_type);
  return resolveTraining({
    peft: parsePeftConfig(peftWith(defaultPeft.lora_alpha)),
    training: { max_steps: of.steps, eval_steps: 1_000_000 },
    ...size,
    model: { hiddenSize: of.hidden_size, ...(rateExponent !== undefined && { rateExponent }) },
    hasValidationFile: true,
  });
}

export const peftWith = (lora_alpha: number) => ({ ...defaultPeft, lora_alpha, task_type: 'CAUSAL_LM' });

/** What a job without options trains. */
export function automaticSetting(of: Rated, size: DataSize): Setting {
  const { batch_size, learning_rate } = resolvedFor(of, size);
  return { r: defaultPeft.r, lora_alpha: defaultPeft.lora_alpha, batch_size, learning_rate };
}

/** Every setting to try, the automatic one first. */
export function settingsFor(of: Rated, size: DataSize): Setting[] {
  const automatic = automaticSetting(of, size);
  const others = OTHER_RATES.map((factor) => {
    const learning_rate = Number((automatic.learning_rate * factor).toPrecision(2));
    return { ...automatic, learning_rate };
  });
  return [automatic, ...others];
}

/** Settings with each seed. One seed of all comes before the next, so that a sweep that is stopped has compared all of them once. */
export function trialsOf(settings: readonly Setting[], seeds = SEEDS): LongTrial[] {
  return Array.from({ length: seeds }, (_, i) => FIRST_SEED + i).flatMap((seed) =>
    settings.map((setting) => ({ ...setting, seed })),
  );
}

/** Trials of which there is no result yet. */
export function pendingOf(
  experiment: Experiment,
  trials: readonly LongTrial[],
  results: readonly LongResult[],
): LongTrial[] {
  const done = results.filter((result) => isSameExperiment(result, experiment));
  return trials.filter(
    (trial) => !done.some((result) => result.seed === trial.seed && isSameSetting(result, trial)),
  );
}

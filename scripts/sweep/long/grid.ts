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

/** A run of so many steps takes no more of the rate for being short, and counts for --check. */
export const FEWEST_STEPS = 1000;
/** Runs that differ in nothing else: fewer say as much of the seed as of the rate. */
export const SEEDS = 3;
const FIRST_SEED = 42;

/**
 * Beside the automatic setting. Few, so that two cores make all runs in a night: what the first steps change goes with alpha times rate,
 * so a smaller alpha asks once whether the product or the rate decides, and twice the batch asks once what more examples a step are worth.
 */
const BESIDE = [
  { lora_alpha: defaultPeft.lora_alpha, rate: 1 / 2, batch: 1 },
  { lora_alpha: defaultPeft.lora_alpha, rate: 2, batch: 1 },
  { lora_alpha: 16, rate: 1, batch: 1 },
  { lora_alpha: defaultPeft.lora_alpha, rate: 1, batch: 2 },
];
/** Of one task and model. */
export const RUNS = SEEDS * (1 + BESIDE.length);

type Rated = Pick<Experiment, 'model_type' | 'hidden_size' | 'steps'>;

/** What a job trains that names an alpha and nothing else. `steps` is max_steps, so that rows are seen as often as that takes. */
export function resolvedFor(
  of: Rated,
  size: DataSize,
  lora_alpha = defaultPeft.lora_alpha,
): ResolvedTraining {
  const { rateExponent } = familyOf(of.model_type);
  return resolveTraining({
    peft: parsePeftConfig(peftWith(lora_alpha)),
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

/** All that is tried, the automatic setting first. Rates are times what is automatic at their alpha. */
export function settingsFor(of: Rated, size: DataSize): Setting[] {
  const beside = BESIDE.map(({ lora_alpha, rate, batch }) => {
    const { batch_size, learning_rate } = resolvedFor(of, size, lora_alpha);
    return {
      ...{ r: defaultPeft.r, lora_alpha },
      batch_size: batch_size * batch,
      learning_rate: Number((learning_rate * rate).toPrecision(2)),
    };
  });
  return [automaticSetting(of, size), ...beside];
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

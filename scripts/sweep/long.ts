/** Long runs: what a job without options trains in 1,000 steps, with three seeds, at rates around the automatic one. */
import {
  type DataSize,
  defaultPeft,
  parsePeftConfig,
  type ResolvedTraining,
  resolveTraining,
  type TrainingOptions,
} from '@graft/peft-core/config';
import { familyOf } from '../../packages/peft-core/src/outlines/families.ts';
import { defaultMethod } from '../demo/options.ts';
import { plainTable } from '../methods/markdown-table.ts';
import { digestOf, firstOfEach, isChosen, resultsFile, type Sweep, sizeOf } from './sweep.ts';
import { type LongTask, longTasks, QUESTIONS } from './tasks.ts';

/** Settings in which long runs may differ, besides the seed. */
export interface Setting {
  r: number;
  lora_alpha: number;
  batch_size: number;
  learning_rate: number;
}

export interface LongTrial extends Setting {
  seed: number;
}

/** Training of that length, and the inputs of its automatic rate: the model need not be there to compare its runs. */
export interface Experiment {
  /** As --model names it; of a folder or a file, its name without the path. */
  model: string;
  model_type: string;
  hidden_size: number;
  task: string;
  /** Digest of the task's rows. */
  data: string;
  steps: number;
}

/** One training that was done: a line of long-results.jsonl. */
export interface LongResult extends Experiment, LongTrial {
  /** On the validation rows after the last step, in nats per token; null: training diverged. */
  loss: number | null;
  /** Right answers; null where no questions are asked, 0 after a run that diverged. */
  right: number | null;
  seconds: number;
}

const settingKeys = ['r', 'lora_alpha', 'batch_size', 'learning_rate'] as const;
export const longResults = resultsFile<LongResult, keyof LongTrial | 'model' | 'task' | 'data' | 'steps'>(
  'long-results.jsonl',
  ['model', 'task', 'data', 'steps', 'seed', ...settingKeys],
);

/** From this number of steps the rate is not raised for short runs; only such runs count for --check. */
export const FEWEST_STEPS = 1000;
/** Runs that differ in nothing else: fewer say as much of the seed as of the rate. */
export const SEEDS = 3;
const FIRST_SEED = 42;

/**
 * Tried beside the automatic rate, as multiples of it. Few, so that two cores finish in a night; rank, alpha and batch are compared in
 * the usual sweep.
 */
const OTHER_RATES = [1 / 2, 2];
/** For one task and model. */
export const RUNS = SEEDS * (1 + OTHER_RATES.length);

/** The model that every machine has. Without results of it a verdict says so. */
export const DEFAULT_MODEL = 'smollm2-135m-instruct';

/** How much worse than the best the automatic setting may be: a factor of the loss, or a number of answers. */
const BOUNDS = { loss: 1.05, answers: 2 };

type Rated = Pick<Experiment, 'model_type' | 'hidden_size' | 'steps'>;

/** The options of a job without any. `steps` is its max_steps, so rows are seen as often as that takes. */
export function resolvedFor(of: Rated, size: DataSize, more: TrainingOptions = {}): ResolvedTraining {
  const { rateExponent } = familyOf(of.model_type);
  return resolveTraining({
    peft: parsePeftConfig(peftWith(defaultPeft.lora_alpha)),
    training: { max_steps: of.steps, eval_steps: 1_000_000, ...more },
    ...size,
    model: { hiddenSize: of.hidden_size, ...(rateExponent !== undefined && { rateExponent }) },
    hasValidationFile: true,
  });
}

export const peftWith = (lora_alpha: number) => ({ ...defaultPeft, lora_alpha, task_type: 'CAUSAL_LM' });

/** Every setting to try, that of a job without options first. */
export function settingsFor(of: Rated, size: DataSize): [Setting, ...Setting[]] {
  const { batch_size, learning_rate } = resolvedFor(of, size);
  const automatic = { r: defaultPeft.r, lora_alpha: defaultPeft.lora_alpha, batch_size, learning_rate };
  const rates = OTHER_RATES.map((factor) => Number((learning_rate * factor).toPrecision(2)));
  return [automatic, ...rates.map((learning_rate) => ({ ...automatic, learning_rate }))];
}

/** Settings with each seed. One seed of all comes before the next, so that a sweep that is stopped has compared all of them once. */
export function trialsOf(settings: readonly Setting[], seeds = SEEDS): LongTrial[] {
  return Array.from({ length: seeds }, (_, i) => FIRST_SEED + i).flatMap((seed) =>
    settings.map((setting) => ({ ...setting, seed })),
  );
}

export const pendingOf = (
  experiment: Experiment,
  trials: readonly LongTrial[],
  results: readonly LongResult[],
): LongTrial[] =>
  trials.filter((trial) => !results.some((other) => longResults.isSame({ ...experiment, ...trial }, other)));

const isSameExperiment = (a: Experiment, b: Experiment): boolean =>
  a.model === b.model && a.task === b.task && a.data === b.data && a.steps === b.steps;

const isSameSetting = (a: Setting, b: Setting): boolean => settingKeys.every((key) => a[key] === b[key]);

/** Means over the seeds of one setting. */
interface Measured extends Setting {
  seeds: number;
  /** Infinite where a run diverged. */
  loss: number;
  /** Largest less smallest. */
  lossSpread: number;
  /** Null where no questions are asked. */
  right: number | null;
  rightSpread: number;
}

export interface LongVerdict extends Pick<Experiment, 'model' | 'task' | 'steps'> {
  isScored: boolean;
  /** Every setting with a result, in the order of the grid. */
  settings: Measured[];
  /** Runs of the grid, with all seeds, that are still to be made. */
  pending: number;
  /** With all seeds; null: not measured yet. */
  automatic: Measured | null;
  /** Best setting of those with all seeds, by answers where there are some, else by loss. */
  best: Measured | null;
  /** The lowest loss of those with all seeds; null without one. */
  bestLoss: number | null;
}

/** Verdicts on every experiment with results of today's data, and on the tasks of the default model that have none. */
export function longVerdicts(
  results: readonly LongResult[],
  tasks: Record<string, LongTask> = longTasks,
): LongVerdict[] {
  return Object.entries(tasks).flatMap(([task, { isScored, data }]) => {
    const rows = data();
    const long = results.filter(
      (each) => each.task === task && each.data === digestOf(rows) && each.steps >= FEWEST_STEPS,
    );
    const size = sizeOf(rows.training);
    const verdicts = firstOfEach(long, isSameExperiment).map((experiment) =>
      verdictOn(experiment, long, size, isScored),
    );
    if (verdicts.some(({ model }) => model === DEFAULT_MODEL)) return verdicts;
    const none = { settings: [], pending: RUNS, automatic: null, best: null, bestLoss: null };
    return [{ model: DEFAULT_MODEL, task, steps: FEWEST_STEPS, isScored, ...none }, ...verdicts];
  });
}

function verdictOn(
  experiment: Experiment,
  results: readonly LongResult[],
  size: DataSize,
  isScored: boolean,
): LongVerdict {
  const own = results.filter((result) => isSameExperiment(result, experiment));
  const grid = settingsFor(experiment, size);
  /** Settings of other rules come last. */
  const placeOf = (setting: Setting): number => {
    const place = grid.findIndex((each) => isSameSetting(each, setting));
    return place < 0 ? grid.length : place;
  };
  const settings = firstOfEach(own, isSameSetting)
    .map((setting) => measured(own.filter((result) => isSameSetting(result, setting))))
    .sort((a, b) => placeOf(a) - placeOf(b));
  const whole = settings.filter(({ seeds }) => seeds >= SEEDS);
  const { model, task, steps } = experiment;
  return {
    model,
    task,
    steps,
    isScored,
    settings,
    pending: pendingOf(experiment, trialsOf(grid), own).length,
    automatic: whole.find((setting) => isSameSetting(setting, grid[0])) ?? null,
    best: whole.reduce<Measured | null>((a, b) => (a === null || isBetter(b, a) ? b : a), null),
    bestLoss: whole.length > 0 ? Math.min(...whole.map(({ loss }) => loss)) : null,
  };
}

function measured(runs: LongResult[]): Measured {
  const { r, lora_alpha, batch_size, learning_rate } = runs[0]!;
  const losses = runs.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY);
  const right = runs.flatMap((run) => (run.right === null ? [] : [run.right]));
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    r,
    lora_alpha,
    batch_size,
    learning_rate,
    seeds: new Set(runs.map(({ seed }) => seed)).size,
    loss: mean(losses),
    lossSpread: losses.every(Number.isFinite) ? Math.max(...losses) - Math.min(...losses) : Number.NaN,
    right: right.length < runs.length ? null : mean(right),
    rightSpread: Math.max(...right) - Math.min(...right),
  };
}

const isBetter = (a: Measured, b: Measured): boolean =>
  a.right !== null && b.right !== null ? a.right > b.right : a.loss < b.loss;

/** How far the automatic setting is from the best, as a factor of the loss and a number of answers; null: not measured yet. */
function distanceOf({ automatic, best, bestLoss, isScored }: LongVerdict) {
  if (automatic === null || best === null || bestLoss === null) return null;
  return { loss: automatic.loss / bestLoss, answers: isScored ? best.right! - automatic.right! : 0 };
}

/** In words: what is missing, or how far the automatic setting is from the best. */
export function verdictText(verdict: LongVerdict): string {
  const distance = distanceOf(verdict);
  if (distance === null) return 'not measured yet';
  const loss = `${distance.loss.toFixed(3)} times the best loss`;
  return verdict.isScored ? `${distance.answers.toFixed(1)} of ${QUESTIONS} answers fewer, ${loss}` : loss;
}

/** True for a measured automatic setting that is too far from the best. One without a measurement is neither a fault nor a success. */
export function isTooFar(verdict: LongVerdict): boolean {
  const distance = distanceOf(verdict);
  return distance !== null && !(distance.answers <= BOUNDS.answers && distance.loss <= BOUNDS.loss);
}

/** A line for every verdict that does not hold. */
export function longFaults(verdicts: readonly LongVerdict[]): string[] {
  return verdicts.filter(isTooFar).map((verdict) => {
    const answers = verdict.isScored ? `${BOUNDS.answers} answers of ${QUESTIONS} and ` : '';
    const limit = `${answers}${BOUNDS.loss} times`;
    return `long runs: ${verdict.model} ${verdict.task}: ${verdictText(verdict)}; the limit is ${limit}`;
  });
}

/** Runs that are still to be measured, a line an experiment. */
export const notYet = (verdicts: readonly LongVerdict[]): string[] =>
  verdicts
    .filter(({ pending }) => pending > 0)
    .map(({ model, task, pending, automatic }) => {
      const what = automatic === null ? 'not measured yet' : 'not measured in full';
      return `long runs: ${model} ${task}: ${what}, ${pending} runs are to be made`;
    });

/** A line a model and task: the automatic setting beside the best. */
export function verdictTable(verdicts: readonly LongVerdict[]): string {
  const head = ['model', 'task', 'steps', 'automatic', 'its result', 'best', 'its result', 'verdict'];
  const cellsOf = (setting: Measured | null) => {
    if (setting === null) return ['', ''];
    const { lora_alpha, learning_rate, batch_size, right } = setting;
    const loss = lossText(setting);
    return [
      `alpha ${lora_alpha}, ${learning_rate.toExponential()}, batch ${batch_size}`,
      right === null ? loss : `${rightText(setting)} right, loss ${loss}`,
    ];
  };
  const lines = verdicts.map((verdict) => {
    const { model, task, steps, automatic, best } = verdict;
    const text = `${verdictText(verdict)}${isTooFar(verdict) ? ' ✗' : ''}`;
    return [model, task, steps, ...cellsOf(automatic), ...cellsOf(best), text];
  });
  return plainTable(head, lines);
}

/** A line a setting, with means over seeds and, in brackets, the largest less the smallest. */
export function settingsTable(verdicts: readonly LongVerdict[]): string {
  const head = ['model', 'task', 'alpha', 'rate', 'alpha · rate', 'batch', 'seeds', 'loss'];
  const lines = verdicts.flatMap(({ model, task, settings, automatic }) =>
    settings.map((each) => {
      const { lora_alpha: alpha, learning_rate: rate, batch_size, seeds } = each;
      const mark = automatic !== null && isSameSetting(each, automatic) ? ' (automatic)' : '';
      const product = (alpha * rate).toPrecision(2);
      const own = [alpha, `${rate.toExponential()}${mark}`, product, batch_size, seeds];
      return [model, task, ...own, lossText(each), rightText(each)];
    }),
  );
  return plainTable([...head, `right of ${QUESTIONS}`], lines);
}

const lossText = ({ loss, lossSpread }: Measured): string =>
  Number.isFinite(loss) ? `${loss.toPrecision(4)} (${lossSpread.toPrecision(2)})` : 'diverged';

const rightText = ({ right, rightSpread }: Measured): string =>
  right === null ? '' : `${right.toFixed(1)} (${rightSpread})`;

const chosenVerdicts = (words: readonly string[]) =>
  longVerdicts(longResults.read()).filter(({ task }) => isChosen({ task, method: defaultMethod }, words));

export const settingsOf = (words: readonly string[]): string => settingsTable(chosenVerdicts(words));

export const long: Sweep = {
  tasks: longTasks,
  grid: Object.keys(longTasks).map((task) => ({ task, method: defaultMethod })),
  report(words) {
    const verdicts = chosenVerdicts(words);
    return {
      tables: { 'long runs': verdictTable(verdicts) },
      notes: notYet(verdicts),
      faults: longFaults(verdicts),
    };
  },
};

/** Whether what is automatic is as good in long runs as the best that was tried, by what was measured alone. */
import type { DataSize } from '@graft/peft-core/config';
import { dataSizeOf } from '../../methods/data-size.ts';
import { automaticSetting, FEWEST_STEPS, pendingOf, RUNS, SEEDS, settingsFor, trialsOf } from './grid.ts';
import {
  type Experiment,
  isSameExperiment,
  isSameSetting,
  type LongResult,
  type Setting,
} from './results.ts';
import { digestOf, type LongTask, longTasks, QUESTIONS } from './tasks.ts';

/** How much worse than the best the automatic setting may be: a factor of the loss, or a number of answers. */
const BOUNDS = { loss: 1.05, answers: 2 };

/** The model that every machine has. Without results of it a verdict says so. */
export const DEFAULT_MODEL = 'smollm2-135m-instruct';

/** Means over the seeds of one setting. */
export interface Measured extends Setting {
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
  /** Of the grid with all seeds, runs that are still to be made. */
  pending: number;
  /** With all seeds; null: not measured yet. */
  automatic: Measured | null;
  /** Of those with all seeds, by answers where there are some, else by loss. */
  best: Measured | null;
  /** The lowest loss of those with all seeds; null without one. */
  bestLoss: number | null;
}

/** Verdicts on every experiment with results of today's data, and on the tasks of the default model that have none. */
export function longVerdicts(
  results: readonly LongResult[],
  tasks: Record<string, LongTask> = longTasks,
): LongVerdict[] {
  return Object.entries(tasks).flatMap(([name, task]) => {
    const data = digestOf(task);
    const current = results.filter((result) => result.task === name && result.data === data);
    const long = current.filter(({ steps }) => steps >= FEWEST_STEPS);
    const size = dataSizeOf(task.data().training.map((row) => JSON.stringify(row)));
    const first = (result: LongResult, at: number) =>
      long.findIndex((each) => isSameExperiment(each, result)) === at;
    const verdicts = long.filter(first).map((experiment) => verdictOn(experiment, long, size, task.isScored));
    if (verdicts.some(({ model }) => model === DEFAULT_MODEL)) return verdicts;
    return [notMeasured(name, task), ...verdicts];
  });
}

function notMeasured(task: string, { isScored }: LongTask): LongVerdict {
  return {
    model: DEFAULT_MODEL,
    task,
    steps: FEWEST_STEPS,
    isScored,
    settings: [],
    pending: RUNS,
    automatic: null,
    best: null,
    bestLoss: null,
  };
}

function verdictOn(
  experiment: Experiment,
  results: readonly LongResult[],
  size: DataSize,
  isScored: boolean,
): LongVerdict {
  const own = results.filter((result) => isSameExperiment(result, experiment));
  const grid = settingsFor(experiment, size);
  const settings = own
    .filter((result, at) => own.findIndex((each) => isSameSetting(each, result)) === at)
    .map((setting) =>
      measured(
        setting,
        own.filter((result) => isSameSetting(result, setting)),
      ),
    )
    .sort((a, b) => placeOf(a, grid) - placeOf(b, grid));
  const whole = settings.filter(({ seeds }) => seeds >= SEEDS);
  const isAutomatic = (setting: Setting) => isSameSetting(setting, automaticSetting(experiment, size));
  const { model, task, steps } = experiment;
  return {
    model,
    task,
    steps,
    isScored,
    settings,
    pending: pendingOf(experiment, trialsOf(grid), own).length,
    automatic: whole.find(isAutomatic) ?? null,
    best: whole.reduce<Measured | null>((a, b) => (a === null || isBetter(b, a) ? b : a), null),
    bestLoss: whole.length > 0 ? Math.min(...whole.map(({ loss }) => loss)) : null,
  };
}

/** Settings of other rules come last. */
function placeOf(setting: Setting, grid: readonly Setting[]): number {
  const place = grid.findIndex((each) => isSameSetting(each, setting));
  return place < 0 ? grid.length : place;
}

function measured({ r, lora_alpha, batch_size, learning_rate }: Setting, runs: LongResult[]): Measured {
  const losses = runs.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY);
  const right = runs.flatMap((run) => (run.right === null ? [] : [run.right]));
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

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function isBetter(a: Measured, b: Measured): boolean {
  return a.right !== null && b.right !== null ? a.right > b.right : a.loss < b.loss;
}

/** In words: what is missing, or how far the automatic setting is from the best. */
export function verdictText(verdict: LongVerdict): string {
  const { automatic, best, bestLoss, isScored } = verdict;
  if (automatic === null || best === null || bestLoss === null) return 'not measured yet';
  const loss = `${(automatic.loss / bestLoss).toFixed(3)} times the best loss`;
  if (!isScored) return loss;
  return `${(best.right! - automatic.right!).toFixed(1)} of ${QUESTIONS} answers fewer, ${loss}`;
}

/** Whether the automatic setting was measured and is too far from the best. What was not measured is no fault, nor is it a success. */
export function isTooFar({ automatic, best, bestLoss, isScored }: LongVerdict): boolean {
  if (automatic === null || best === null || bestLoss === null) return false;
  if (isScored && best.right! - automatic.right! > BOUNDS.answers) return true;
  return !(automatic.loss / bestLoss <= BOUNDS.loss);
}

/** A line for every verdict that does not hold. */
export function longFaults(verdicts: readonly LongVerdict[]): string[] {
  return verdicts.filter(isTooFar).map((verdict) => {
    const answers = verdict.isScored ? `${BOUNDS.answers} answers of ${QUESTIONS} and ` : '';
    const limit = `${answers}${BOUNDS.loss} times`;
    return `long runs: ${verdict.model} ${verdict.task}: ${verdictText(verdict)}; the limit is ${limit}`;
  });
}

/** What is still to be measured, a line an experiment. */
export function notYet(verdicts: readonly LongVerdict[]): string[] {
  return verdicts
    .filter(({ pending }) => pending > 0)
    .map(({ model, task, pending, automatic }) => {
      const what = automatic === null ? 'not measured yet' : 'not measured in full';
      return `long runs: ${model} ${task}: ${what}, ${pending} runs are to be made`;
    });
}

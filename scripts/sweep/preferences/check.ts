/** Whether the automatic options of preference training are as good as the best that the sweep has found, by what was measured alone. */
import { automaticShare, CHECKED_METHOD, objectiveOf } from './grid.ts';
import type { PreferenceResult, Start, StartResult } from './results.ts';
import { type PreferenceTask, preferenceTasks } from './tasks.ts';

/** A fall of what supervised training had taught, and a distance from the best accuracy, that count as none: two points of a hundred. */
export const TWO_POINTS = 0.02;

/** All rates of one method on one task, with the defaults of everything else. */
export interface PreferenceVerdict {
  task: string;
  use: PreferenceTask['use'];
  method: string;
  start: Start;
  before: StartResult;
  /** Of one seed, by ascending share. */
  rates: PreferenceResult[];
  /** At the rate of a job without options; null: not tried. */
  automatic: PreferenceResult | null;
  /** The most accurate one that keeps what was learned, or without one the most accurate. */
  best: PreferenceResult;
}

export function preferenceVerdicts(lines: {
  starts: readonly StartResult[];
  results: readonly PreferenceResult[];
}): PreferenceVerdict[] {
  const plain = lines.results.filter(hasDefaults);
  const first = (result: PreferenceResult, at: number) =>
    plain.findIndex((each) => isOfSameRow(each, result)) === at;
  const places = Object.keys(preferenceTasks);
  return plain
    .filter(first)
    .map((row) => verdictOn(row, plain, lines.starts))
    .sort((a, b) => places.indexOf(a.task) - places.indexOf(b.task));
}

/** Whether a job without options has these. */
export const hasDefaults = ({ preference, n_epochs }: PreferenceResult): boolean =>
  Object.keys(preference).length === 0 && n_epochs === null;

const isOfSameRow = (a: PreferenceResult, b: PreferenceResult) =>
  a.task === b.task && a.method === b.method && a.start === b.start && a.data === b.data && a.seed === b.seed;

function verdictOn(
  { task, method, start, data, seed }: PreferenceResult,
  results: readonly PreferenceResult[],
  starts: readonly StartResult[],
): PreferenceVerdict {
  const own = { task, method, start, data, seed } as PreferenceResult;
  const rates = results.filter((result) => isOfSameRow(result, own)).sort((a, b) => a.share - b.share);
  const before = starts.find((line) => line.task === task && line.start === start && line.data === data)!;
  const keeping = rates.filter((result) => keeps(result, before));
  const best = (keeping.length > 0 ? keeping : rates).reduce((a, b) =>
    accuracyOf(b) > accuracyOf(a) ? b : a,
  );
  const automatic = rates.find(({ share }) => share === automaticShare(method, before)) ?? null;
  return { task, use: preferenceTasks[task]!.use, method, start, before, rates, automatic, best };
}

/** As the method's rewards have it: relative to the start where it compares with one, else which answer is more probable. */
export function accuracyOf({ method, accuracy, preferred }: PreferenceResult): number {
  return objectiveOf(method).passes.includes('reference') ? accuracy! : preferred;
}

/**
 * What is kept of supervised training, as a share: greedy answers that are right or, where none are requested or none were right before,
 * the geometric mean of the probabilities of the tokens of chosen answers.
 */
export function keptMeasure(line: StartResult | PreferenceResult, before: StartResult): number {
  return isCounted(before) ? line.right! / line.pairs : Math.exp(line.logp);
}

export const isCounted = ({ right }: StartResult): boolean => right !== null;

export const keeps = (result: PreferenceResult, before: StartResult): boolean =>
  keptMeasure(before, before) - keptMeasure(result, before) <= TWO_POINTS + 1e-9;

/** In words: what is wrong with the automatic rate; null: nothing. */
export function faultOf({ automatic, best, before }: PreferenceVerdict): string | null {
  if (!automatic) return 'not tried';
  const behind = accuracyOf(best) - accuracyOf(automatic);
  if (behind > TWO_POINTS + 1e-9) return `${(100 * behind).toFixed(0)} points less accurate than the best`;
  if (keeps(automatic, before)) return null;
  const fall = keptMeasure(before, before) - keptMeasure(automatic, before);
  return `${(100 * fall).toFixed(0)} points lost of what was learned`;
}

/** What does not hold on tasks that are held out, a line each. */
export const preferenceFaults = (verdicts: readonly PreferenceVerdict[]): string[] =>
  verdicts.flatMap((verdict) => {
    const isRequired = verdict.use === 'held out' && verdict.method === CHECKED_METHOD;
    const fault = isRequired ? faultOf(verdict) : null;
    return fault === null
      ? []
      : [`preferences: ${verdict.method} from ${verdict.start}: ${verdict.task}: ${fault}`];
  });

/** Held-out tasks that another beta or number of epochs suits better than the automatic one, at the automatic rate, a line each. */
export function optionFaults(lines: {
  starts: readonly StartResult[];
  results: readonly PreferenceResult[];
}): string[] {
  return preferenceVerdicts(lines).flatMap(({ task, use, method, start, before, automatic }) => {
    if (use !== 'held out' || method !== CHECKED_METHOD || !automatic) return [];
    const others = lines.results.filter(
      (each) => !hasDefaults(each) && isOfSameRow(each, automatic) && each.share === automatic.share,
    );
    const better = others.filter(
      (each) => keeps(each, before) && accuracyOf(each) - accuracyOf(automatic) > TWO_POINTS + 1e-9,
    );
    return better.map(
      (each) =>
        `preferences: ${method} from ${start}: ${task}: ${JSON.stringify(each.preference)}, epochs ${each.n_epochs ?? 'auto'}: ` +
        'more accurate than the automatic options',
    );
  });
}

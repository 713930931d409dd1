/** The sweep of preferences: pairs of answers, from the base model and from versions that have learned the chosen ones. */
import type { Objective } from '../../packages/peft-core/src/objectives/objective.ts';
import { objectives } from '../../packages/peft-core/src/objectives/objectives.ts';
import { knowsAnswers } from '../../packages/peft-core/src/objectives/preference/known-answers.ts';
import { plainTable } from '../methods/markdown-table.ts';
import { preferenceTasks } from './preference-tasks.ts';
import { firstOfEach, isChosen, resultsFile, type Sweep, type Task, type Tried } from './sweep.ts';

/** Start of a training: a new adapter on the base model, or a version that has learned the chosen answers as a job would. */
export type Start = 'base' | 'version';

/** One training on a task's pairs, by `method.type` of a job. */
export interface PreferenceTrial extends Tried {
  start: Start;
  /** Share of the rate of supervised training: of a new adapter, or of one that is continued. */
  share: number;
  /** Options of `training.preference`, beside the defaults. */
  preference: Record<string, unknown>;
  /** Null: automatic. */
  n_epochs: number | null;
  seed: number;
}

/** Measurements on the held-out pairs, in float32. */
export interface Measures {
  /** Share with a larger log-ratio to the start for the chosen answer; null before training, when all are 0. */
  accuracy: number | null;
  /** Share whose chosen answer is more probable. */
  preferred: number;
  /** Mean of the log-ratio of chosen answers less that of rejected ones; null before training. */
  margin: number | null;
  /** Mean log-probability per token of chosen answers, over all tokens. */
  logp: number;
  /** Greedy answers that are the chosen one; null where none are requested. */
  right: number | null;
  pairs: number;
}

/** A line of preference-results.jsonl. */
export interface PreferenceResult extends PreferenceTrial, Measures {
  /** Digest of the task's pairs. */
  data: string;
  learning_rate: number;
  steps: number;
  seconds: number;
}

export interface StartResult extends Measures {
  task: string;
  start: Start;
  data: string;
}

/** Lines of preference-results.jsonl. */
interface Lines {
  starts: readonly StartResult[];
  results: readonly PreferenceResult[];
}

const keys = ['task', 'method', 'start', 'share', 'preference', 'n_epochs', 'seed'] as const;
const file = resultsFile<Partial<PreferenceResult>, (typeof keys)[number]>('preference-results.jsonl', keys);
export const { keep: keepLine, isSame: isSameTrial } = file;

/** Lines of starts have no method. */
export function readPreferenceResults(): Lines {
  const lines = file.read();
  return {
    starts: lines.filter(({ method }) => method === undefined) as StartResult[],
    results: lines.filter(({ method }) => method !== undefined) as PreferenceResult[],
  };
}

const SEED = 42;
/** `--check` requires something of this method; of the others too few rates are tried. */
const CHECKED_METHOD = 'dpo';
/** Tasks whose chosen answers the base model gives already, to which a version adds nothing. */
const knownTasks = Object.keys(preferenceTasks).filter((task) => preferenceTasks[task]!.isKnown);
const tasks = Object.keys(preferenceTasks).filter((task) => !knownTasks.includes(task));
/** Tasks of short prompts and short answers, whose trials take a fraction of the time. */
const cheapTasks = ['modules', 'style', 'interfaces'];
/** Tasks whose trials differ in `beta` and `n_epochs`, too. */
const optionTasks = ['modules', 'interfaces', 'style', 'orders'];
const longerTasks = tasks.filter((task) => !cheapTasks.includes(task));

const trial = (
  task: string,
  method: string,
  start: Start,
  share: number,
  more: Partial<PreferenceTrial> = {},
): PreferenceTrial => ({ task, method, start, share, preference: {}, n_epochs: null, seed: SEED, ...more });

/** With another seed. */
const again = (task: string, start: Start, share: number) =>
  trial(task, 'dpo', start, share, { seed: SEED + 1 });
const dpo = (of: readonly string[], start: Start, given: readonly number[]) =>
  given.flatMap((share) => of.map((task) => trial(task, 'dpo', start, share)));
const others = (start: Start, given: readonly number[], methods: readonly string[]) =>
  given.flatMap((share) =>
    cheapTasks.flatMap((task) => methods.map((method) => trial(task, method, start, share))),
  );

/**
 * Trials, in this order: rates around the shares that one task had suggested. One rate of all tasks comes before the next, so that
 * a sweep that is stopped has compared as many as possible.
 */
export const preferenceGrid: PreferenceTrial[] = [
  ...dpo(knownTasks, 'base', [0.25, 0.02, 0.0625, 0.005, 0.0025]),
  ...dpo(['style'], 'base', [0.02, 0.005, 0.0025]),
  ...dpo(['modules', 'interfaces'], 'base', [0.02]),
  ...dpo(tasks, 'version', [0.04]),
  ...optionTasks.flatMap((task) => [
    ...[0.05, 0.3].map((beta) => trial(task, 'dpo', 'version', 0.04, { preference: { beta } })),
    ...[1, 3].map((n_epochs) => trial(task, 'dpo', 'version', 0.04, { n_epochs })),
  ]),
  ...cheapTasks.flatMap((task) => [
    ...[0.05, 0.3].map((beta) => trial(task, 'dpo', 'base', 0.25, { preference: { beta } })),
    trial(task, 'dpo', 'base', 0.25, { n_epochs: 3 }),
  ]),
  ...dpo(cheapTasks, 'version', [0.16, 0.01, 0.02]),
  ...dpo(cheapTasks, 'base', [0.25, 1, 0.0625]),
  ...others('base', [0.25, 1, 0.0625], ['orpo', 'simpo', 'kto']),
  ...others('version', [0.04, 0.16, 0.01], ['kto']),
  ...dpo(longerTasks, 'version', [0.16, 0.01]),
  ...dpo(longerTasks, 'base', [0.25, 1, 0.0625]),
  ...cheapTasks.flatMap((task) => [again(task, 'version', 0.04), again(task, 'base', 0.25)]),
  ...dpo(tasks, 'version', [0.08]),
  ...dpo(longerTasks, 'version', [0.02]),
  ...dpo(tasks, 'base', [0.5, 0.125]),
  ...['modules', 'interfaces'].map((task) => again(task, 'base', 0.5)),
  ...['style', 'capitals'].map((task) => again(task, 'base', 0.0025)),
];

export const objectiveOf = (method: string): Objective =>
  Object.values<Objective>(objectives).find((each) => each.method === method)!;

/** Share that a job without options uses. */
export function automaticShare(method: string, before: StartResult): number {
  const { fresh = 1, continued = 1, known = fresh } = objectiveOf(method).rateShares ?? {};
  if (before.start === 'version') return continued;
  return knowsAnswers(before) ? known : fresh;
}

/** A fall of what supervised training had taught, and a distance from the best accuracy, that count as none: two points of a hundred. */
const TWO_POINTS = 0.02;

/** All rates of one method on one task, with the defaults of everything else. */
export interface PreferenceVerdict extends Tried {
  use: Task['use'];
  start: Start;
  before: StartResult;
  /** Results of one seed, by ascending share. */
  rates: PreferenceResult[];
  /** At the rate of a job without options; null: not tried. */
  automatic: PreferenceResult | null;
  /** The most accurate one that keeps what was learned, or without one the most accurate. */
  best: PreferenceResult;
}

export function preferenceVerdicts({ starts, results }: Lines): PreferenceVerdict[] {
  const plain = results.filter(hasDefaults);
  const places = Object.keys(preferenceTasks);
  return firstOfEach(plain, isOfSameRow)
    .map((row) => verdictOn(row, plain, starts))
    .sort((a, b) => places.indexOf(a.task) - places.indexOf(b.task));
}

/** True where the options are those of a job without options. */
const hasDefaults = ({ preference, n_epochs }: PreferenceResult): boolean =>
  Object.keys(preference).length === 0 && n_epochs === null;

const isOfSameRow = (a: PreferenceResult, b: PreferenceResult) =>
  a.task === b.task && a.method === b.method && a.start === b.start && a.data === b.data && a.seed === b.seed;

function verdictOn(
  row: PreferenceResult,
  results: readonly PreferenceResult[],
  starts: readonly StartResult[],
): PreferenceVerdict {
  const { task, method, start, data } = row;
  const rates = results.filter((result) => isOfSameRow(result, row)).sort((a, b) => a.share - b.share);
  const before = starts.find((line) => line.task === task && line.start === start && line.data === data)!;
  const keeping = rates.filter((result) => keeps(result, before));
  const among = keeping.length > 0 ? keeping : rates;
  const best = among.reduce((a, b) => (accuracyOf(b) > accuracyOf(a) ? b : a));
  const automatic = rates.find(({ share }) => share === automaticShare(method, before)) ?? null;
  return { task, use: preferenceTasks[task]!.use, method, start, before, rates, automatic, best };
}

/** As the method's rewards have it: relative to the start where it compares with one, else which answer is more probable. */
const accuracyOf = ({ method, accuracy, preferred }: PreferenceResult): number =>
  objectiveOf(method).passes.includes('reference') ? accuracy! : preferred;

/**
 * Share of supervised training that is kept: greedy answers that are right or, where none are requested or none were right before,
 * the geometric mean of the probabilities of the tokens of chosen answers.
 */
const keptMeasure = ({ right, pairs, logp }: Measures, before: StartResult): number =>
  before.right === null ? Math.exp(logp) : right! / pairs;

const keeps = (result: PreferenceResult, before: StartResult): boolean =>
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

/** Verdicts that --check requires to hold. */
const isRequired = ({ use, method }: PreferenceVerdict) => use === 'held out' && method === CHECKED_METHOD;

const named = ({ method, start, task }: PreferenceVerdict) => `preferences: ${method} from ${start}: ${task}`;

/** Faults on tasks that are held out, a line each. */
export const preferenceFaults = (verdicts: readonly PreferenceVerdict[]): string[] =>
  verdicts.filter(isRequired).flatMap((verdict) => {
    const fault = faultOf(verdict);
    return fault === null ? [] : [`${named(verdict)}: ${fault}`];
  });

/** Held-out tasks that another beta or number of epochs suits better than the automatic one, at the automatic rate, a line each. */
export const optionFaults = (lines: Lines): string[] =>
  preferenceVerdicts(lines)
    .filter(isRequired)
    .flatMap((verdict) => {
      const { before, automatic } = verdict;
      if (!automatic) return [];
      const others = lines.results.filter(
        (each) => !hasDefaults(each) && isOfSameRow(each, automatic) && each.share === automatic.share,
      );
      return others
        .filter((each) => keeps(each, before) && accuracyOf(each) - accuracyOf(automatic) > TWO_POINTS + 1e-9)
        .map(({ preference, n_epochs }) => {
          const options = `${JSON.stringify(preference)}, epochs ${n_epochs ?? 'auto'}`;
          return `${named(verdict)}: ${options}: more accurate than the automatic options`;
        });
    });

/** A line a task and method, a column a share of the rate: accuracy of held-out pairs, and what is kept of supervised training. */
export function sharesTable(verdicts: readonly PreferenceVerdict[], start: Start): string {
  const own = verdicts.filter((verdict) => verdict.start === start);
  const all = own.flatMap(({ rates }) => rates.map(({ share }) => share));
  const shares = [...new Set(all)].sort((a, b) => a - b);
  const head = ['task', 'use', 'method', 'before', ...shares.map(String), 'at `auto`'];
  const lines = own.map((verdict) => {
    const { task, use, method, before, rates, automatic } = verdict;
    const cells = shares.map((share) => {
      const result = rates.find((each) => each.share === share);
      if (!result) return '';
      const cell = `${percent(accuracyOf(result))}, ${keptText(result, before)}`;
      return result === automatic ? `**${cell}**` : cell;
    });
    const seed = rates[0]!.seed === SEED ? '' : `, seed ${rates[0]!.seed}`;
    return [task, use, `${method}${seed}`, keptText(before, before), ...cells, faultOf(verdict) ?? 'holds'];
  });
  return plainTable(head, lines);
}

const percent = (share: number) => `${Math.round(100 * share)} %`;

const keptText = (line: Measures, before: StartResult): string =>
  before.right === null ? keptMeasure(line, before).toPrecision(2) : `${line.right} of ${line.pairs}`;

/** Runs that differ from a job without options in beta, epochs or seed, beside the one that does not. */
export function optionsTable(results: readonly PreferenceResult[]): string {
  const isAsked = (result: PreferenceResult) =>
    results.some(
      (each) =>
        !hasDefaults(each) &&
        isOfSameRow({ ...each, seed: result.seed }, result) &&
        each.share === result.share,
    );
  const lines = results.filter(isAsked).map((result) => {
    const { task, start, preference, n_epochs, steps, seed, margin, right, pairs, logp } = result;
    const options = [String(preference.beta ?? 0.1), n_epochs ?? 'automatic', steps, seed];
    const rightText = right === null ? '' : `${right} of ${pairs}`;
    const figures = [
      percent(accuracyOf(result)),
      margin!.toFixed(2),
      rightText,
      Math.exp(logp).toPrecision(2),
    ];
    return [task, start, ...options, ...figures];
  });
  const head = ['task', 'start', 'beta', 'epochs', 'steps', 'seed', 'accuracy', 'margin', 'right'];
  const byTask = lines.toSorted((a, b) => `${a[0]} ${a[1]}`.localeCompare(`${b[0]} ${b[1]}`));
  return plainTable([...head, 'probability per token'], byTask);
}

export const preferences: Sweep = {
  tasks: preferenceTasks,
  grid: preferenceGrid,
  report(words) {
    const { starts, results } = readPreferenceResults();
    const chosen = { starts, results: results.filter((result) => isChosen(result, words)) };
    const verdicts = preferenceVerdicts(chosen);
    return {
      tables: {
        'preferences from a version': sharesTable(verdicts, 'version'),
        'preferences from the base model': sharesTable(verdicts, 'base'),
        'options of preferences': optionsTable(chosen.results),
      },
      faults: [...preferenceFaults(verdicts), ...optionFaults(chosen)],
    };
  },
  made(task, method) {
    const { results } = readPreferenceResults();
    const trials = preferenceGrid.filter((each) => each.task === task && each.method === method);
    const made = trials.filter((trial) => results.some((result) => isSameTrial(result, trial)));
    return `${made.length} of ${trials.length} trials`;
  },
};

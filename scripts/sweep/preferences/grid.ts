import type { Objective } from '../../../packages/peft-core/src/objectives/objective.ts';
import { objectives } from '../../../packages/peft-core/src/objectives/objectives.ts';
import { knowsAnswers } from '../../../packages/peft-core/src/objectives/preference/known-answers.ts';
import type { PreferenceTrial, Start, StartResult } from './results.ts';
import { preferenceTasks } from './tasks.ts';

const SEED = 42;
/** `--check` requires something of this method; of the others too few rates are tried. */
export const CHECKED_METHOD = 'dpo';
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

const dpo = (of: readonly string[], start: Start, given: readonly number[]) =>
  given.flatMap((share) => of.map((task) => trial(task, 'dpo', start, share)));
const others = (
  of: readonly string[],
  start: Start,
  given: readonly number[],
  methods = ['orpo', 'simpo', 'kto'],
) =>
  given.flatMap((share) => of.flatMap((task) => methods.map((method) => trial(task, method, start, share))));

/**
 * What is tried, in this order: rates around the shares that one task had suggested. One rate of all tasks comes before the next, so that
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
  ...others(cheapTasks, 'base', [0.25, 1, 0.0625]),
  ...others(cheapTasks, 'version', [0.04, 0.16, 0.01], ['kto']),
  ...dpo(longerTasks, 'version', [0.16, 0.01]),
  ...dpo(longerTasks, 'base', [0.25, 1, 0.0625]),
  ...cheapTasks.flatMap((task) => [
    trial(task, 'dpo', 'version', 0.04, { seed: SEED + 1 }),
    trial(task, 'dpo', 'base', 0.25, { seed: SEED + 1 }),
  ]),
  ...dpo(tasks, 'version', [0.08]),
  ...dpo(longerTasks, 'version', [0.02]),
  ...dpo(tasks, 'base', [0.5, 0.125]),
  ...['modules', 'interfaces'].map((task) => trial(task, 'dpo', 'base', 0.5, { seed: SEED + 1 })),
  ...['style', 'capitals'].map((task) => trial(task, 'dpo', 'base', 0.0025, { seed: SEED + 1 })),
];

export const objectiveOf = (method: string): Objective =>
  Object.values<Objective>(objectives).find((each) => each.method === method)!;

/** What a job without options uses. */
export function automaticShare(method: string, before: StartResult): number {
  const { fresh = 1, continued = 1, known = fresh } = objectiveOf(method).rateShares ?? {};
  if (before.start === 'version') return continued;
  return knowsAnswers(before) ? known : fresh;
}

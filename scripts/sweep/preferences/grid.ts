import type { Objective } from '../../../packages/peft-core/src/objectives/objective.ts';
import { objectives } from '../../../packages/peft-core/src/objectives/objectives.ts';
import type { PreferenceTrial, Start } from './results.ts';
import { preferenceTasks } from './tasks.ts';

const SEED = 42;
const tasks = Object.keys(preferenceTasks);
const realTasks = ['tool-calls', 'bike-shop'];
/** Tasks of short prompts, whose trials take a third of the time. */
const cheapTasks = tasks.filter((task) => !realTasks.includes(task));
const someTasks = ['orders', 'modules', 'style'];

const trial = (
  task: string,
  method: string,
  start: Start,
  share: number,
  more: Partial<PreferenceTrial> = {},
): PreferenceTrial => ({ task, method, start, share, preference: {}, n_epochs: null, seed: SEED, ...more });

const dpo = (of: readonly string[], start: Start, share: number) =>
  of.map((task) => trial(task, 'dpo', start, share));
const others = (start: Start, share: number, methods: readonly string[]) =>
  methods.flatMap((method) => someTasks.map((task) => trial(task, method, start, share)));

/**
 * What is tried, in this order: rates around the shares that one task had suggested. One rate of all tasks comes before the next, so that
 * a sweep that is stopped has compared all of them.
 */
export const preferenceGrid: PreferenceTrial[] = [
  ...dpo(cheapTasks, 'version', 0.04),
  ...dpo(cheapTasks, 'version', 0.16),
  ...dpo(cheapTasks, 'base', 0.25),
  ...dpo(cheapTasks, 'base', 1),
  ...dpo(cheapTasks, 'base', 0.0625),
  ...dpo(realTasks, 'version', 0.04),
  ...dpo(cheapTasks, 'version', 0.08),
  ...others('base', 0.25, ['kto', 'orpo', 'simpo']),
  ...dpo(cheapTasks, 'version', 0.02),
  ...others('base', 0.0625, ['kto', 'orpo', 'simpo']),
  ...others('version', 0.04, ['kto']),
  ...dpo(cheapTasks, 'base', 0.5),
  ...others('base', 1, ['kto', 'orpo', 'simpo']),
  ...['modules', 'orders'].flatMap((task) => [
    ...[0.05, 0.3].map((beta) => trial(task, 'dpo', 'version', 0.04, { preference: { beta } })),
    ...[1, 3].map((n_epochs) => trial(task, 'dpo', 'version', 0.04, { n_epochs })),
  ]),
  ...dpo(realTasks, 'base', 0.25),
  ...others('version', 0.16, ['kto']),
  ...dpo(cheapTasks, 'base', 0.125),
  ...dpo(cheapTasks, 'version', 0.01),
  ...dpo(realTasks, 'version', 0.08),
  ...dpo(realTasks, 'version', 0.02),
  ...dpo(realTasks, 'base', 0.5),
  ...dpo(realTasks, 'base', 0.125),
  ...dpo(realTasks, 'version', 0.16),
];

/** What a job without options uses. */
export function automaticShare(method: string, start: Start): number {
  const objective = Object.values<Objective>(objectives).find((each) => each.method === method)!;
  return objective.rateShares?.[start === 'base' ? 'fresh' : 'continued'] ?? 1;
}

import { join } from 'node:path';
import { environmentFor } from '@graft/peft-core/precision';
import { runForResult, typeScript } from '../../measuring/processes.ts';
import { DEFAULT_MODEL, longFaults, longVerdicts, notYet } from './check.ts';
import { FEWEST_STEPS, SEEDS } from './grid.ts';
import { readLongResults } from './results.ts';
import type { LongPlan } from './run-trials.ts';
import { settingsTable, verdictTable } from './table.ts';
import { longTasks } from './tasks.ts';

export interface LongOptions {
  model?: string | undefined;
  only: string;
  seeds?: string | undefined;
  steps?: string | undefined;
}

/** Throws one error message about the options. */
export function longPlan({ model = DEFAULT_MODEL, only, seeds, steps }: LongOptions): LongPlan {
  const tasks = only.split(',').filter(Boolean);
  const stray = tasks.find((task) => !Object.hasOwn(longTasks, task));
  const names = Object.keys(longTasks);
  if (stray) throw new Error(`--only: ${stray} is no task of long runs, which are ${names.join(', ')}`);
  return {
    model,
    tasks: tasks.length > 0 ? tasks : names,
    seeds: count('--seeds', seeds, SEEDS),
    steps: count('--steps', steps, FEWEST_STEPS),
  };
}

function count(option: string, given: string | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (!/^[1-9]\d{0,5}$/.test(given)) throw new Error(`${option} ${given} is not a whole number above 0`);
  return Number(given);
}

/** Makes the runs that are still to be made, then shows all of these tasks. */
export async function makeLongRuns(plan: LongPlan): Promise<void> {
  await runForResult(typeScript(join(import.meta.dirname, 'run-trials.ts'), environmentFor('auto')), plan);
  console.log(settingsTable(longVerdicts(readLongResults()).filter(({ task }) => plan.tasks.includes(task))));
}

/** Prints what is known of long runs, and what is not measured yet. Returns what does not hold, a line each. */
export function checkLongRuns(tasks: readonly string[]): string[] {
  const verdicts = longVerdicts(readLongResults()).filter(({ task }) => tasks.includes(task));
  console.log(verdictTable(verdicts));
  for (const line of notYet(verdicts)) console.error(line);
  return longFaults(verdicts);
}

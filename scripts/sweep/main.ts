/**
 * npm run sweep -- [--only WORD,…]: trains each method on tasks of several kinds and sizes, at learning rates around the automatic one,
 * and keeps every result in scripts/sweep/results.jsonl. Existing results are not trained again, so an interrupted sweep continues.
 *   --only        tasks, methods or task/method
 *   --list        what there is to try, and how much of it was
 *   --check       trains nothing: reports how near automatic training is to the best, and fails where it is too far
 *   --ranks       trains other runs, whose results it prints: at which part of a run the best rate shows (docs/sweeps.md)
 *   --continued   the same: which rate suits runs that continue an adapter (docs/auto.md)
 *   --write-docs  trains nothing: writes that table, and the one of long runs, into docs/auto.md
 *   --long        trains what a job without options trains for 1,000 steps, with three seeds, at rates around the automatic one, and counts
 *                 answers; what is in long-results.jsonl is not trained again. With --check or --list it trains nothing. Beside it: --model ID (a folder, a GGUF file, an id or org/name;
 *                 gemma-3-270m where GRAFT_ACCEPTED_TERMS names it),
 *                 --seeds N, --steps N, --only TASK,…
 *   --preferences  trains on pairs of answers, from the base model and from versions that have learned the chosen ones, at rates around
 *                 those of jobs; what is in preference-results.jsonl is not trained again. With --check or --list it trains nothing
 */
import { join } from 'node:path';
import { environmentFor } from '@graft/peft-core/precision';
import { commandLine } from '../command-line.ts';
import { runForResult, typeScript } from '../measuring/processes.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { faultsOf, tableOf, untried, verdictsOn } from './check.ts';
import { grid, methodNames } from './grid.ts';
import { longVerdicts } from './long/check.ts';
import { checkLongRuns, longPlan, makeLongRuns } from './long/long-runs.ts';
import { readLongResults } from './long/results.ts';
import { verdictTable } from './long/table.ts';
import { longTasks } from './long/tasks.ts';
import {
  checkPreferences,
  listPreferences,
  makePreferenceRuns,
  preferenceTables,
  strayWord,
} from './preferences/preferences.ts';
import { readResults } from './results.ts';
import { tasks } from './tasks.ts';
import { isChosen } from './words.ts';

const options = commandLine({
  only: { type: 'string', default: '' },
  list: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  ranks: { type: 'boolean', default: false },
  continued: { type: 'boolean', default: false },
  'write-docs': { type: 'boolean', default: false },
  long: { type: 'boolean', default: false },
  preferences: { type: 'boolean', default: false },
  model: { type: 'string' },
  seeds: { type: 'string' },
  steps: { type: 'string' },
});
const words = options.only.split(',').filter(Boolean);
if (options.long) await long();
else if (options.preferences) await preferences();
else await short();

async function short(): Promise<void> {
  const longOption = (['model', 'seeds', 'steps'] as const).find((name) => options[name] !== undefined);
  if (longOption) return refuse(`--${longOption} is an option of --long`);
  const stray = words.find((word) => !grid.some((row) => isChosen(row, [word])));
  if (stray) {
    const known = `tasks are ${Object.keys(tasks).join(', ')}; methods ${methodNames.join(', ')}`;
    return refuse(`--only: ${stray} is nothing that is tried; ${known}`);
  }
  if (options.list) return list();
  if (options.ranks || options.continued) {
    const script = options.ranks ? 'ranks.ts' : 'continued.ts';
    await runForResult(typeScript(join(import.meta.dirname, script), environmentFor('auto'), words));
    return;
  }
  if (!options.check && !options['write-docs'])
    await runForResult(typeScript(join(import.meta.dirname, 'run-trials.ts'), environmentFor('auto'), words));
  const results = readResults();
  const verdicts = (await verdictsOn(results)).filter((verdict) => isChosen(verdict, words));
  console.log(tableOf(verdicts));
  if (options['write-docs']) {
    await replaceSection('docs/auto.md', 'sweep', tableOf(verdicts));
    await replaceSection('docs/auto.md', 'long runs', verdictTable(longVerdicts(readLongResults())));
    await writePreferences();
  }
  const faults = faultsOf(verdicts);
  const missing = words.length === 0 ? untried(results) : [];
  if (missing.length > 0) faults.push(`not tried yet: ${missing.join(', ')}`);
  if (options.check && words.length === 0)
    faults.push(...checkLongRuns(Object.keys(longTasks)), ...checkPreferences([]));
  report(faults);
}

async function long(): Promise<void> {
  let plan: ReturnType<typeof longPlan>;
  try {
    plan = longPlan(options);
  } catch (error) {
    return refuse((error as Error).message);
  }
  if (!options.check && !options.list) await makeLongRuns(plan);
  report(checkLongRuns(plan.tasks));
}

async function preferences(): Promise<void> {
  const stray = strayWord(words);
  if (stray) return refuse(`--only: ${stray} is no task and no method of preferences`);
  if (options.list) return listPreferences();
  if (!options.check && !options['write-docs']) await makePreferenceRuns(words);
  if (options['write-docs']) await writePreferences();
  report(checkPreferences(words));
}

async function writePreferences(): Promise<void> {
  for (const [section, table] of Object.entries(preferenceTables()))
    await replaceSection('docs/auto.md', section, table);
}

/** An option is wrong. */
function refuse(message: string): void {
  console.error(message);
  process.exitCode = 2;
}

/** What does not hold; with --check that is an error. */
function report(faults: readonly string[]): void {
  for (const fault of faults) console.error(fault);
  if (options.check && faults.length > 0) process.exitCode = 1;
}

function list(): void {
  const results = readResults();
  for (const [name, { about, model, use }] of Object.entries(tasks)) {
    console.log(`${name}: ${about} (${model}, ${use})`);
    for (const method of new Set(grid.filter(({ task }) => task === name).map((row) => row.method))) {
      const tried = results.filter((result) => result.task === name && result.method === method);
      console.log(`  ${method}: ${tried.length} trials`);
    }
  }
}

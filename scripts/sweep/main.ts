/**
 * npm run sweep -- [--only WORD,…]: trains each method on tasks of several kinds and sizes, at learning rates around the automatic one,
 * and keeps every result in scripts/sweep/results.jsonl. Existing results are not trained again, so an interrupted sweep continues.
 *   --only        tasks, methods or task/method
 *   --list        what there is to try, and how much of it was
 *   --check       trains nothing: reports how near automatic training is to the best, and fails where it is too far
 *   --ranks       trains other runs, whose results it prints: at which part of a run the best rate shows (docs/sweeps.md)
 *   --continued   the same: which rate suits runs that continue an adapter (docs/auto.md)
 *   --write-docs  trains nothing: writes that table, and those of the other sweeps, into scripts/sweep/results.md
 *   --long        trains what a job without options trains for 1,000 steps, with three seeds, at rates around the automatic one, and counts
 *                 answers; what is in long-results.jsonl is not trained again. With --check or --list it trains nothing. Beside it: --model ID (a folder, a GGUF file, an id or org/name;
 *                 gemma-3-270m where GRAFT_ACCEPTED_TERMS names it),
 *                 --seeds N, --steps N, --only TASK,…
 *   --preferences  trains on pairs of answers, from the base model and from versions that have learned the chosen ones, at rates around
 *                 those of jobs; what is in preference-results.jsonl is not trained again. With --check or --list it trains nothing
 */
import { join } from 'node:path';
import { environmentFor } from '@graft/peft-core/precision';
import { commandLine, endWithUsage, wholeNumber } from '../command-line.ts';
import { runForResult, typeScript } from '../measuring/processes.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { DEFAULT_MODEL, FEWEST_STEPS, long, SEEDS, settingsOf } from './long.ts';
import { preferences } from './preferences.ts';
import { isChosen, type RunPlan, type Sweep } from './sweep.ts';
import { usual } from './usual.ts';

const flag = { type: 'boolean', default: false } as const;
const options = commandLine({
  only: { type: 'string', default: '' },
  list: flag,
  check: flag,
  ranks: flag,
  continued: flag,
  'write-docs': flag,
  long: flag,
  preferences: flag,
  model: { type: 'string' },
  seeds: { type: 'string' },
  steps: { type: 'string' },
});
const what =
  (['long', 'preferences', 'ranks', 'continued'] as const).find((name) => options[name]) ?? 'usual';
const sweeps = { usual, long, preferences };
const sweep: Sweep = what in sweeps ? sweeps[what as keyof typeof sweeps] : usual;
const words = options.only.split(',').filter(Boolean);
const stray = words.find((word) => !sweep.grid.some((tried) => isChosen(tried, [word])));
if (stray) {
  const methods = [...new Set(sweep.grid.map(({ method }) => method))];
  const known = `tasks are ${Object.keys(sweep.tasks).join(', ')}; methods ${methods.join(', ')}`;
  endWithUsage(`--only: ${stray} is nothing that is tried; ${known}`);
}
const longOption = (['model', 'seeds', 'steps'] as const).find((name) => options[name] !== undefined);
if (longOption && what !== 'long') endWithUsage(`--${longOption} is an option of --long`);
const { model = DEFAULT_MODEL, seeds = SEEDS, steps = FEWEST_STEPS } = options;
const counts = { seeds: wholeNumber('seeds', seeds), steps: wholeNumber('steps', steps) };
const plan: RunPlan = { what, words, model, ...counts };
const isRead = options.check || options.list || options['write-docs'];

if (options.list && sweep.made) for (const line of listOf(sweep)) console.log(line);
else {
  if (!isRead)
    await runForResult(typeScript(join(import.meta.dirname, 'run-trials.ts'), environmentFor('auto')), plan);
  if (!isRead && what === 'long') console.log(settingsOf(words));
  if (isRead || what in sweeps) await judge();
}

/** Prints the sweep's tables and what does not hold: with --check that is an error, and all sweeps are checked where none is chosen. */
async function judge(): Promise<void> {
  const isWhole = sweep === usual && words.length === 0 && options.check;
  const faults: string[] = [];
  for (const each of isWhole ? Object.values(sweeps) : [sweep]) {
    const report = await each.report(words);
    for (const table of Object.values(report.tables)) console.log(table);
    for (const note of report.notes ?? []) console.error(note);
    faults.push(...report.faults);
  }
  if (options['write-docs'])
    for (const each of sweep === usual ? Object.values(sweeps) : [sweep])
      for (const [section, table] of Object.entries((await each.report([])).tables))
        await replaceSection('scripts/sweep/results.md', section, table);
  for (const fault of faults) console.error(fault);
  if (options.check && faults.length > 0) process.exitCode = 1;
}

/** Every task with its methods, and how much of each was tried. */
function* listOf({ tasks, grid, made }: Sweep): Generator<string> {
  for (const [name, { about, model = 'smollm2', use }] of Object.entries(tasks)) {
    yield `${name}: ${about} (${model}, ${use})`;
    for (const method of new Set(grid.filter(({ task }) => task === name).map((row) => row.method)))
      yield `  ${method}: ${made!(name, method)}`;
  }
}

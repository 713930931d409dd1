/**
 * npm run sweep -- [--only WORD,…]: trains each method on tasks of several kinds and sizes, at learning rates around the automatic one,
 * and keeps every result in scripts/sweep/results.jsonl. What is there is not trained again, so it goes on where it was stopped.
 *   --only        tasks, methods or task/method
 *   --list        what there is to try, and how much of it was
 *   --check       trains nothing: says how near automatic training comes to the best, and fails where it is too far
 *   --ranks       trains other runs, whose results it prints: at which part of a run the best rate shows (docs/sweeps.md)
 *   --continued   the same: which rate suits runs that continue an adapter (docs/auto.md)
 *   --write-docs  trains nothing: writes that table into docs/auto.md
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { environmentFor } from '@graft/peft-core/precision';
import { runTypeScript } from '../../bench/run-for-result.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { faultsOf, tableOf, untried, verdictsOn } from './check.ts';
import { grid, methodNames } from './grid.ts';
import { readResults } from './results.ts';
import { tasks } from './tasks.ts';
import { isChosen } from './words.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    ranks: { type: 'boolean', default: false },
    continued: { type: 'boolean', default: false },
    'write-docs': { type: 'boolean', default: false },
  },
});
const words = options.only.split(',').filter(Boolean);
const stray = words.find((word) => !grid.some((row) => isChosen(row, [word])));
if (stray) {
  const known = `tasks are ${Object.keys(tasks).join(', ')}; methods ${methodNames.join(', ')}`;
  console.error(`--only: ${stray} is nothing that is tried; ${known}`);
  process.exit(2);
}

if (options.list) list();
else if (options.ranks || options.continued) {
  const script = options.ranks ? 'ranks.ts' : 'continued.ts';
  await runTypeScript(join(import.meta.dirname, script), words, environmentFor('auto'));
} else {
  if (!options.check && !options['write-docs'])
    await runTypeScript(join(import.meta.dirname, 'run-trials.ts'), words, environmentFor('auto'));
  const results = readResults();
  const verdicts = (await verdictsOn(results)).filter((verdict) => isChosen(verdict, words));
  console.log(tableOf(verdicts));
  if (options['write-docs']) await replaceSection('docs/auto.md', 'sweep', tableOf(verdicts));
  const faults = faultsOf(verdicts);
  const missing = words.length === 0 ? untried(results) : [];
  if (missing.length > 0) faults.push(`not tried yet: ${missing.join(', ')}`);
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

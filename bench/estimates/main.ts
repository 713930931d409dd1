/**
 * npm run bench:estimates -- [--only 0,3,…] [--json] [--write-docs]: trains each case for a few steps in a process of its own, and
 * holds memory and time against what was estimated before. --json prints a line of JSON for each, with all that was measured;
 * --write-docs puts the table into docs/estimates.md.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { replaceSection } from '../../scripts/methods/docs-section.ts';
import { type Case, cases } from './cases.ts';
import { type Compared, runCase } from './run-case.ts';

/** An estimate is right when it is no further from what was measured. */
const bounds = { memory: 0.15, time: 0.3 };

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    'write-docs': { type: 'boolean', default: false },
  },
});
const only = options.only?.split(',').map(Number);
const chosen = cases.filter((_, i) => only?.includes(i) ?? true);
const folder = await mkdtemp(path.join(tmpdir(), 'graft-estimates-'));
const rows: { each: Case; compared: Compared }[] = [];
try {
  for (const [i, each] of chosen.entries()) {
    const compared = await runCase(each, folder);
    rows.push({ each, compared });
    if (options.json) console.log(JSON.stringify({ ...each, ...compared }));
    else
      console.log(`${String(i + 1).padStart(2)} of ${chosen.length}  ${cellsOf(each, compared).join('  ')}`);
  }
} finally {
  await rm(folder, { recursive: true });
}
const memory = rows.map(({ compared }) => compared.estimate.peakMemoryBytes / compared.measured.peakBytes);
const time = rows.map(({ compared }) => compared.estimate.seconds! / compared.measured.seconds);
const summary = [sentence('memory', memory, bounds.memory), sentence('time', time, bounds.time)].join(' ');
console.log(`\n${summary}`);
if (options['write-docs']) await replaceSection('docs/estimates.md', 'estimates', document());

function sentence(what: string, ratios: number[], bound: number): string {
  const within = ratios.filter((ratio) => Math.abs(ratio - 1) <= bound).length;
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2));
  return `Estimated over measured ${what}: ${least} to ${most}; ${within} of ${ratios.length} within ± ${100 * bound} %.`;
}

function document(): string {
  const header = [
    'model',
    'data',
    'method',
    'options',
    'trained',
    'memory',
    'measured',
    'ratio',
    'time',
    'measured',
    'ratio',
  ];
  const lines = [
    header,
    header.map(() => '---'),
    ...rows.map(({ each, compared }) => cellsOf(each, compared)),
  ];
  const machine = `${cpus().length} × ${cpus()[0]!.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const date = new Date().toISOString().slice(0, 10);
  const table = lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
  return `\n${summary}\n\n${table}\nMeasured on ${machine}, ${date}.\n\n`;
}

function cellsOf({ model, data, peft, training }: Case, { estimate, measured }: Compared): string[] {
  const { peft_type: method, task_type: _, ...rest } = peft;
  const shown = Object.entries({ ...rest, ...training }).map(([name, value]) => `${name} ${value}`);
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  const seconds = (value: number) => `${value.toFixed(1)} s`;
  return [
    ...[model, data, method, shown.join(', ')],
    estimate.trainableParameters.toLocaleString('en-US'),
    gigabytes(estimate.peakMemoryBytes),
    gigabytes(measured.peakBytes),
    (estimate.peakMemoryBytes / measured.peakBytes).toFixed(2),
    seconds(estimate.seconds!),
    seconds(measured.seconds),
    (estimate.seconds! / measured.seconds).toFixed(2),
  ];
}

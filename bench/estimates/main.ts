/**
 * npm run bench:estimates -- [--only 0,3,…] [--save FILE | --saved FILE] [--write-docs]: trains each case for a few steps in a separate
 * process and compares memory and time with the estimate. --save keeps the measurements, a line of JSON for each case, and --saved
 * computes the estimates of saved measurements again. --write-docs writes the table into docs/estimates.md. --long-examples measures examples
 * of up to 32,768 tokens instead, which is another table. --long takes one long step on stock operations: one-step.ts.
 */
import { appendFile, readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import type { TrainingEstimate } from '@graft/peft-core/estimate';
import { environmentFor } from '@graft/peft-core/precision';
import { commandLine } from '../../scripts/command-line.ts';
import { runForResult, typeScript } from '../../scripts/measuring/processes.ts';
import { gigabytes as gb } from '../../scripts/measuring/report.ts';
import { replaceSection } from '../../scripts/methods/docs-section.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import type { Measured } from './graft.ts';
import type { LongStep } from './one-step.ts';
import { type Case, cases, estimateCase, longCases, measureCase } from './run-case.ts';

interface Row {
  each: Case;
  measured: Measured;
  estimate: TrainingEstimate;
}

/** An estimate is right when it is no further from what was measured. */
const bounds = { memory: 0.15, time: 0.3 };

const options = commandLine({
  only: { type: 'string' },
  save: { type: 'string' },
  saved: { type: 'string' },
  'write-docs': { type: 'boolean', default: false },
  'long-examples': { type: 'boolean', default: false },
  long: { type: 'boolean', default: false },
});
const gigabytes = (bytes: number) => `${gb(bytes)} GB`;
if (options.long) {
  const stock = { ...environmentFor('bf16'), GRAFT_KERNELS: 'stock' };
  const program = typeScript(path.join(import.meta.dirname, 'one-step.ts'), stock);
  const { tokens, peakBytes, estimatedBytes, seconds } = await runForResult<LongStep>(program, {
    tokens: 8192,
  });
  console.log(
    `1 × ${tokens}: ${gigabytes(estimatedBytes)} estimated, ${gigabytes(peakBytes)} held, ${(estimatedBytes / peakBytes).toFixed(2)}; ${seconds.toFixed(0)} s`,
  );
  process.exit();
}
const only = options.only?.split(',').map(Number);
const folder = scratchFolder('estimates');
const measurable = options['long-examples'] ? longCases : cases;
const rows: Row[] = [];
const chosen: { each: Case; measured?: Measured }[] = options.saved
  ? await readSaved(options.saved)
  : measurable.filter((_, i) => only?.includes(i) ?? true).map((each) => ({ each }));
for (const [i, { each, ...known }] of chosen.entries()) {
  const measured = known.measured ?? (await measureCase(each, folder));
  if (options.save) await appendFile(options.save, `${JSON.stringify({ each, measured })}\n`);
  const row = { each, measured, estimate: await estimateCase(each, measured, folder) };
  rows.push(row);
  console.log(`${String(i + 1).padStart(2)} of ${chosen.length}  ${cellsOf(row).join('  ')}`);
}
const memory = rows.map(({ estimate, measured }) => estimate.peakMemoryBytes / measured.peakBytes);
const time = rows.map(({ estimate, measured }) => estimate.seconds! / measured.seconds);
const summary = [sentence('memory', memory, bounds.memory), sentence('time', time, bounds.time)].join(' ');
console.log(`\n${summary}`);
const section = options['long-examples'] ? 'long examples' : 'estimates';
if (options['write-docs']) await replaceSection('docs/estimates.md', section, document());

async function readSaved(file: string): Promise<Omit<Row, 'estimate'>[]> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

function sentence(what: string, ratios: number[], bound: number): string {
  const within = ratios.filter((ratio) => Math.abs(ratio - 1) <= bound).length;
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2));
  return `Estimated over measured ${what}: ${least} to ${most}; ${within} of ${ratios.length} within ± ${100 * bound} %.`;
}

function document(): string {
  const header = ['model', 'data', 'method', 'options', 'trained'];
  for (const what of ['memory', 'time']) header.push(what, 'measured', 'ratio');
  const machine = `${cpus().length} × ${cpus()[0]!.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const date = new Date().toISOString().slice(0, 10);
  const table = plainTable(header, rows.map(cellsOf));
  return `\n${summary}\n\n${table}\nMeasured on ${machine}, ${date}.\n\n`;
}

function cellsOf({ each: { model, data, peft, training }, estimate, measured }: Row): string[] {
  const { peft_type: method, task_type: _, ...rest } = peft;
  const shown = Object.entries({ ...rest, ...training }).map(([name, value]) => `${name} ${value}`);
  const seconds = (value: number) => `${value.toFixed(1)} s`;
  return [
    model,
    data,
    method,
    shown.join(', '),
    estimate.trainableParameters.toLocaleString('en-US'),
    gigabytes(estimate.peakMemoryBytes),
    gigabytes(measured.peakBytes),
    (estimate.peakMemoryBytes / measured.peakBytes).toFixed(2),
    seconds(estimate.seconds!),
    seconds(measured.seconds),
    (estimate.seconds! / measured.seconds).toFixed(2),
  ];
}

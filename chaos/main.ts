/**
 * `npm run chaos`: injects every known fault into a private Graft and checks that every accepted job ended once, with the losses and
 * the adapter of an undisturbed run. `--help` lists the options.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { commitPart } from '../scripts/test/commit-part.ts';
import type { Queue } from './harness/scenario.ts';
import { installCommand } from './harness/tools.ts';
import { type Options, parseOptions, UsageError, usage } from './options.ts';
import { planScenarios } from './plan.ts';
import { writeReliabilityDoc } from './report/reliability-doc.ts';
import { isLost, type Result } from './report/result.ts';
import { summary } from './report/table.ts';
import { machine, Runner } from './run-scenarios.ts';
import { scenarios } from './scenarios/index.ts';

let options: Options;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message === '' ? usage : `${error.message}\n\n${usage}`);
  process.exit(error.message === '' ? 0 : 2);
}
const unknown = options.only.filter((name) => !scenarios.some((scenario) => scenario.name === name));
if (unknown.length > 0) {
  console.error(`Unknown scenario ${unknown.join(', ')}. --list prints their names.`);
  process.exit(2);
}
if (options.list) {
  for (const { name, about } of scenarios) console.log(`${name.padEnd(24)} ${about}`);
  process.exit(0);
}

const say = options.json ? console.error : console.log;
const started = performance.now();
let last = '';
const folder = options.logs ? path.resolve(options.logs) : mkdtempSync(path.join(tmpdir(), 'graft-chaos-'));
mkdirSync(folder, { recursive: true });
if (readdirSync(folder).length > 0) {
  console.error(`${folder} is not empty: --logs takes a new or empty folder.`);
  process.exit(2);
}
// Postgres may run as another user, who must be able to reach its folder.
chmodSync(folder, 0o755);
const results: Result[] = [];
// process.exit ends everything that was started: see harness/services/started.ts.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    say(`\nstopped by ${signal}, logs in ${folder}\n\n${summary(results)}`);
    process.exit(130);
  });
}

const half = options.half ? commitPart(path.join(import.meta.dirname, '..'), 'faults', 2) : null;
for (const [queue, chosen] of planScenarios(scenarios, options, half)) {
  const runner = new Runner(options, folder, progress);
  for (const scenario of chosen) {
    say(`${clock()} ${scenario.title} (queue in ${queue})`);
    const result = await runner.run(scenario, queue, inTime(queue));
    results.push(result);
    // After each scenario, so that an interrupted run keeps its results.
    if (options.writeDocs) writeReliabilityDoc(results, scenarios, machine());
    const outcome =
      result.missing.length > 0
        ? `left out, no ${result.missing.join(', ')}`
        : `${result.survived} of ${result.tried} survived`;
    say(
      `${clock()} ${isLost(result) ? '✖' : result.missing.length > 0 ? '–' : '✔'} ${scenario.title}: ${outcome} (${result.seconds.toFixed(0)} s)`,
    );
  }
  await runner.close();
}

const lost = results.filter(isLost).length;
const missing = [...new Set(results.flatMap((result) => result.missing))].filter((what) => what !== 'time');
say(`\n${summary(results)}\n`);
if (missing.length > 0)
  say(`Left out because ${missing.join(', ')} is missing. To install: ${installCommand}`);
if (lost > 0) say(`All logs: ${folder}`);
else if (!options.logs) rmSync(folder, { recursive: true, force: true });
if (options.json) console.log(JSON.stringify({ machine: machine(), results }));
if (half !== null) say(`covered: half ${half + 1} of 2 of the ${options.profile} fault profile`);
const leftOut = results.filter((result) => result.missing.length > 0).length;
say(`${results.length - lost - leftOut} passed, ${lost} failed${leftOut > 0 ? `, ${leftOut} skipped` : ''}`);
process.exit(lost > 0 ? 1 : 0);

/** The first backend gets at most two thirds of the time. */
function inTime(queue: Queue): boolean {
  if (options.minutes === null) return true;
  const minutes = (performance.now() - started) / 60_000;
  return minutes < (queue === 'postgres' ? (2 / 3) * options.minutes : options.minutes);
}

function progress(text: string): void {
  if (text === last) return;
  last = text;
  say(`${clock()}   ${text}`);
}

function clock(): string {
  const seconds = Math.round((performance.now() - started) / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')}`;
}

/**
 * npm test: types, lint and every test of the repository, then one closing line `N passed, N failed`.
 *
 * `npm test -- packages/service apps/api` runs only the test files whose path contains one of the words.
 * With DATABASE_URL and REDIS_URL set, tests use those services (each test its own schema, database or prefix);
 * without, they start the embedded ones.
 */
import { join, relative } from 'node:path';
import { pythonEnvironment } from '../golden/environment/python-environment.ts';
import { checkSources } from './check-sources.ts';
import { findTestFiles } from './find-test-files.ts';
import { createRunScratch } from './run-scratch.ts';
import { runTestFiles } from './run-test-files.ts';
import { closingLines, type Tally } from './tally.ts';

const root = join(import.meta.dirname, '..', '..');
const words = process.argv.slice(2);
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
const started = performance.now();

const files = (await findTestFiles(root)).filter(
  (file) => words.length === 0 || words.some((word) => relative(root, file).includes(word)),
);
if (files.length === 0) {
  console.log(`no test file ${words.length === 0 ? 'found' : `matches ${words.join(' ')}`}`);
  tally.failed += 1;
}
// Tests of the whole system start services and trainers: one at a time, at the end. Golden ones wait for Python in turn.
const inFolder = (file: string, folder: string) => relative(root, file).startsWith(folder);
const golden = files.filter((file) => inFolder(file, 'test/golden/'));
const whole = files.filter((file) => inFolder(file, 'test/') && !golden.includes(file));
const parts = files.filter((file) => !inFolder(file, 'test/'));

const scratch = await createRunScratch();
// GRAFT_ENV_FILE: the .env of whoever runs the tests is not for the Grafts that they start.
Object.assign(process.env, scratch.env, { GRAFT_ENV_FILE: '' });
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
let tables = '';
try {
  if (words.length === 0) await checkSources(root, tally);
  const python = await preparePython();
  await runTestFiles(root, parts, 2, tally);
  if (python) {
    await runTestFiles(root, golden, 2, tally);
    await runTestFiles(root, whole, 1, tally);
  }
  tables = scratch.tables();
} finally {
  await scratch.remove();
}
console.log(closingLines({ tally, tables, milliseconds: performance.now() - started }));
process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;

/** Makes what the tests below test/ compare with. A fault counts as one failure, instead of one for each of them. */
async function preparePython(): Promise<boolean> {
  const report = (line: string) => console.log(line);
  try {
    if (golden.length + whole.length > 0) await pythonEnvironment(report);
    if (golden.some((file) => file.includes('bottleneck'))) await pythonEnvironment(report, 'adapters');
    return true;
  } catch (error) {
    tally.failed += 1;
    console.log(`✖ the tests of test/ are left out. ${(error as Error).message}`);
    return false;
  }
}

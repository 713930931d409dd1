/**
 * npm test: types, lint and every test of the repository, then one closing line `N passed, N failed`.
 *
 * `npm test -- packages/service apps/api` runs only the test files whose path contains one of the words.
 * With DATABASE_URL and REDIS_URL set, tests use those services (each test its own schema, database or prefix);
 * without, they start the embedded ones.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pythonEnvironment } from '../golden/environment.ts';
import { checkSources } from './check-sources.ts';
import { findTestFiles } from './find-test-files.ts';
import { runTestFiles } from './run-test-files.ts';
import { closingLine, type Tally } from './tally.ts';

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

// What tests/ shares between files, such as tiny models, is made once per run here.
const scratch = await mkdtemp(join(tmpdir(), 'graft-test-'));
process.env.GRAFT_TEST_SCRATCH = scratch;
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
try {
  if (words.length === 0) await checkSources(root, tally);
  const report = (line: string) => console.log(line);
  if (golden.length + whole.length > 0) await pythonEnvironment(report);
  if (golden.some((file) => file.includes('bottleneck'))) await pythonEnvironment(report, 'adapters');
  await runTestFiles(root, parts, 2, tally);
  await runTestFiles(root, golden, 2, tally);
  await runTestFiles(root, whole, 1, tally);
} finally {
  await rm(scratch, { recursive: true, force: true });
}
console.log(`\nin ${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
console.log(closingLine(tally));
process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;

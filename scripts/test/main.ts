/**
 * npm test: types, lint and every test of the repository, then the slowest files and one closing line `N passed, N failed`.
 *
 * `npm test -- packages/service apps/api` runs only the test files whose path contains one of the words; with `--services`
 * before them, of those the ones that open Postgres or Redis.
 * What takes long is tried in halves, which the commit chooses: always of the golden matrix, unless `--whole-matrix` is given (`npm
 * run test:matrix`), and with `--half` of the files that start services, browsers or many trainings, as `.ci/run` does. `--other-half` runs
 * the files, short ones too, that are in the other half.
 * With DATABASE_URL and REDIS_URL set, tests use those services (each test its own schema, database or prefix);
 * without, they start the embedded ones.
 */
import { join, relative } from 'node:path';
import { compiledFile, ensureCompiled } from '../compile/compile.mjs';
import { findSources } from '../compile/sources.mjs';
import {
  pythonEnvironment,
  type ReferenceLibrary,
  referenceLibraries,
} from '../golden/environment/python-environment.ts';
import { startWarmPython } from '../golden/environment/warm-python.ts';
import { ensureChromium } from '../tools/chromium.ts';
import { checkSources } from './check-sources.ts';
import { filesOfHalf, halfOfCommit, halvesOf } from './half-of-commit.ts';
import { earlierSeconds, keepSeconds, lanesOf } from './lanes.ts';
import { createRunScratch } from './run-scratch.ts';
import { runTestFiles } from './run-test-files.ts';
import { readUsage, slowFiles, usageEnvironment } from './slow-files.ts';
import { closingLines, type Tally } from './tally.ts';
import { opensBrowser, opensServices, referenceLibrariesOf } from './test-support.ts';

const root = join(import.meta.dirname, '..', '..');
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const onlyServices = process.argv.includes('--services');
const wholeMatrix = process.argv.includes('--whole-matrix');
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
const started = performance.now();

const half = halfOfCommit(root);
const testFiles = findSources(root).filter((file) => file.endsWith('.test.ts'));
const inRun = runOf(testFiles.map((file) => relative(root, file)));
const found = testFiles.filter((file) => {
  const path = relative(root, file);
  return (
    (words.length === 0 || words.some((word) => path.includes(word))) &&
    (!onlyServices || opensServices(file)) &&
    inRun.has(path)
  );
});
if (found.length === 0) {
  console.log(`no test file ${words.length === 0 ? 'found' : `matches ${words.join(' ')}`}`);
  tally.failed += 1;
}

const scratch = await createRunScratch();
// GRAFT_ENV_FILE: the .env of whoever runs the tests is not for the Grafts that they start.
Object.assign(process.env, scratch.env, { GRAFT_ENV_FILE: '' });
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
if (!wholeMatrix) process.env.GRAFT_MATRIX_HALF ??= `${half}`;
const held: (() => Promise<void>)[] = [];
let tables = '';
try {
  if (words.length === 0) await checkSources(root, tally);
  const files = withBrowser(await withReferences(found));
  if (files.some(opensServices)) await holdPostgres();
  Object.assign(process.env, usageEnvironment(scratch.usageFile));
  const compiled = await ensureCompiled(root);
  const seconds = await runTestFiles({
    root,
    compiled,
    lanes: lanesOf(root, files, earlierSeconds()),
    tally,
  });
  keepSeconds(root, seconds);
  const usage = readUsage(scratch.usageFile, files, (file) => compiledFile(compiled, root, file));
  tables = [scratch.tables(), slowFiles(root, seconds, usage)].join('\n\n').trim();
} finally {
  for (const release of held) await release();
  await scratch.remove();
}
console.log(closingLines({ tally, tables, milliseconds: performance.now() - started }));
process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;

/** What the options leave of all test files. */
function runOf(paths: string[]): Set<string> {
  if (process.argv.includes('--half')) return filesOfHalf(paths, half);
  if (!process.argv.includes('--other-half')) return new Set(paths);
  return new Set([...halvesOf(paths)].filter(([, of]) => of !== half).map(([path]) => path));
}

/**
 * Makes the Python environments that test files name, and keeps a warm Python of each. The files that can be run: without those
 * of a library that cannot be had, whose fault counts as one failure.
 */
async function withReferences(files: string[]): Promise<string[]> {
  const missing = new Set<ReferenceLibrary>();
  const needed = new Map(files.map((file) => [file, referenceLibrariesOf(file)]));
  const wanted = referenceLibraries.filter((library) =>
    [...needed.values()].some((libraries) => libraries.includes(library)),
  );
  const make = async (library: ReferenceLibrary) => {
    try {
      const python = await pythonEnvironment((line) => console.log(`${library}: ${line}`), library);
      held.push((await startWarmPython(scratch.env.GRAFT_TEST_SCRATCH, python, library)).stop);
    } catch (error) {
      tally.failed += 1;
      missing.add(library);
      console.log(`✖ the tests that compare with ${library} are left out. ${(error as Error).message}`);
    }
  };
  // pip uses one core.
  await Promise.all(wanted.map(make));
  return files.filter((file) => !needed.get(file)!.some((library) => missing.has(library)));
}

/** Installs the browser that some of the files open, where it may. The files that can be run: without it those need not begin. */
function withBrowser(files: string[]): string[] {
  const inBrowser = files.filter(opensBrowser);
  if (inBrowser.length === 0) return files;
  try {
    ensureChromium((line) => console.log(line));
    return files;
  } catch (error) {
    tally.failed += 1;
    console.log(`✖ the tests of the dashboard are left out. ${(error as Error).message}`);
    return files.filter((file) => !inBrowser.includes(file));
  }
}

/** So that the embedded Postgres of the tests starts once, with the migrated database that theirs are copies of. */
async function holdPostgres(): Promise<void> {
  try {
    const { createTestDatabase } = await import('@graft/service/testing');
    held.push((await createTestDatabase()).drop);
  } catch (error) {
    // The tests that need it say the same.
    console.log(`no Postgres for the tests: ${(error as Error).message}`);
  }
}

/**
 * npm test: types, lint and every test of the repository. Ends with the slowest files, `covered: …` and `N passed, N failed`.
 *
 * `npm test -- packages/service apps/api` runs only the test files whose path contains one of the words; with `--services`,
 * of those only the ones that open Postgres or Redis.
 *
 * The commit chooses what a run leaves to other commits: seven eighths of the golden matrix, except for what has changed since
 * the whole of it passed (see matrix-selection.ts), and with `--part`, as in `.ci/run`, seven eighths of the other files but for the
 * repository's rules.
 * `--next-part` runs the files of the next eighth. `--whole-matrix` (`npm run test:matrix`) runs the whole matrix and,
 * when that passes, records the sources and library versions with which it did, in a file to commit.
 *
 * `--record-seconds` records how long files take, in a file to commit: it orders files on new machines and balances the parts.
 *
 * With DATABASE_URL and REDIS_URL set, tests use those services (each test its own schema, database or prefix);
 * without, they start embedded ones.
 */
import { join, relative } from 'node:path';
import { changeNames, partCount } from '../../test/golden/matrix/cells.ts';
import { compiledFile, ensureCompiled } from '../compile/compile.mjs';
import { findSources } from '../compile/sources.mjs';
import {
  findPythonEnvironment,
  pythonEnvironment,
  type ReferenceLibrary,
  referenceLibraries,
} from '../golden/environment/python-environment.ts';
import { startWarmPython } from '../golden/environment/warm-python.ts';
import { ensureChromium } from '../tools/chromium.ts';
import { checkSources } from './check-sources.ts';
import { commitPart, filePartCount, filesOfPart, partsOf } from './commit-part.ts';
import { earlierSeconds, keepSeconds, lanesOf, recordUsualSeconds, usualSeconds } from './lanes.ts';
import { matrixChanges, recordWholeMatrix } from './matrix-changes.ts';
import { selectMatrix } from './matrix-selection.ts';
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
/** Parts of the suite in this run, for the line before the count. */
const covered: string[] = [];

const secondsOf = usualSeconds(root);
const testFiles = findSources(root).filter((file) => file.endsWith('.test.ts'));
const inRun = chosenPart(testFiles.map((file) => relative(root, file)));
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
// GRAFT_ENV_FILE: the user's .env does not apply to the Grafts that tests start.
Object.assign(process.env, scratch.env, { GRAFT_ENV_FILE: '' });
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
const held: (() => Promise<void>)[] = [];
let tables = '';
try {
  // pip mostly waits for the network, the checks compute.
  const [withLibraries] = await Promise.all([
    withReferences(found),
    words.length === 0 ? checkSources(root, tally) : undefined,
  ]);
  const files = withBrowser(withLibraries);
  const hasMatrix = files.some((file) => /golden\/matrix\/|gpu-gate\//.test(file));
  if (hasMatrix) await chooseMatrix();
  if (files.some(opensServices)) await holdPostgres();
  Object.assign(process.env, usageEnvironment(scratch.usageFile));
  const compiled = await ensureCompiled(root);
  const earlier = earlierSeconds();
  const seconds = await runTestFiles({
    root,
    compiled,
    lanes: lanesOf(root, files, (path) => earlier[path] ?? secondsOf(path)),
    tally,
  });
  keepSeconds(root, seconds);
  if (process.argv.includes('--record-seconds')) recordUsualSeconds(root, seconds);
  const usage = readUsage(scratch.usageFile, files, (file) => compiledFile(compiled, root, file));
  tables = [scratch.tables(), slowFiles(root, seconds, usage)].join('\n\n').trim();
} finally {
  for (const release of held) await release();
  await scratch.remove();
}
if (wholeMatrix && tally.failed === 0 && !process.env.GRAFT_MATRIX && ranEveryMatrixFile())
  console.log(`commit ${recordWholeMatrix(root, await matrixPythons())}: the whole golden matrix passed`);
console.log(closingLines({ tally, tables, covered, milliseconds: performance.now() - started }));
process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;

function chosenPart(paths: string[]): Set<string> {
  const part = commitPart(root, 'files', filePartCount);
  if (process.argv.includes('--part')) {
    covered.push(`part ${part + 1} of ${filePartCount} of the test files`);
    return filesOfPart(paths, part, secondsOf);
  }
  if (!process.argv.includes('--next-part')) return new Set(paths);
  const next = (part + 1) % filePartCount;
  covered.push(`part ${next + 1} of ${filePartCount} of the test files on given services`);
  return new Set([...partsOf(paths, secondsOf)].filter(([, each]) => each === next).map(([path]) => path));
}

function ranEveryMatrixFile(): boolean {
  const ran = new Set(found);
  return testFiles.filter((file) => file.includes('/golden/matrix/')).every((file) => ran.has(file));
}

/** Interpreters of the environments that have the libraries of the golden matrix. */
async function matrixPythons(): Promise<string[]> {
  const found = await Promise.all((['peft', 'adapters'] as const).map(findPythonEnvironment));
  return found.filter((python) => python !== null);
}

/** Sets the variables that select cells of the golden matrix, unless they are set. */
async function chooseMatrix(): Promise<void> {
  if (wholeMatrix || process.env.GRAFT_MATRIX) return;
  const changed = matrixChanges(root, changeNames(), await matrixPythons());
  const isShort = process.argv.includes('--part');
  const selected = selectMatrix(commitPart(root, 'matrix', partCount), changed, isShort);
  process.env.GRAFT_MATRIX_PART ??= selected.part;
  process.env.GRAFT_MATRIX_CHANGED ??= selected.changed;
  covered.push(selected.covered);
}

/**
 * Makes the Python environments that test files name, and keeps a warm Python of each. Returns the files that can run: without those
 * of a library that cannot be installed, which counts as one failure.
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
  await Promise.all(wanted.map(make));
  return files.filter((file) => !needed.get(file)!.some((library) => missing.has(library)));
}

/** Installs the browser that some of the files open, where possible. Returns the files that can run. */
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

/** Starts the embedded Postgres of the tests once, with the migrated database that theirs are copied from. */
async function holdPostgres(): Promise<void> {
  try {
    const { createTestDatabase } = await import('@graft/service/testing');
    held.push((await createTestDatabase()).drop);
  } catch (error) {
    // The tests that need it fail with the same error.
    console.log(`no Postgres for the tests: ${(error as Error).message}`);
  }
}

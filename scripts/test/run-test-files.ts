import { relative } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';
import type { Tally } from './tally.ts';

/** A file that is not done by then hangs: the slowest needs about five minutes on two cores. */
const fileTimeoutMilliseconds = 20 * 60_000;

type FileResult = { passed: number; failed: number; skipped: number; started: number };

/**
 * Runs test files with node:test, each in a process of its own, `concurrency` at a time, and prints one line a
 * file and every failure as it comes. A file in which no test ran counts as a failure.
 */
export async function runTestFiles(
  root: string,
  files: string[],
  concurrency: number,
  tally: Tally,
): Promise<void> {
  if (files.length === 0) return;
  const results = new Map<string, FileResult>();
  let reported = 0;
  let current: string | undefined;

  const reportCurrent = () => {
    const result = current === undefined ? undefined : results.get(current);
    if (current === undefined || result === undefined) return;
    reported += 1;
    const mark = result.failed > 0 ? '✖' : '✔';
    const skipped = result.skipped > 0 ? `, ${result.skipped} skipped` : '';
    const seconds = ((performance.now() - result.started) / 1000).toFixed(0);
    console.log(
      `${mark} [${reported}/${files.length}] ${relative(root, current)}: ` +
        `${result.passed} passed, ${result.failed} failed${skipped} (${seconds} s)`,
    );
    tally.passed += result.passed;
    tally.failed += result.failed;
    tally.skipped += result.skipped;
  };

  // Files report in their order, each one's events together, whatever the concurrency.
  let lastReport = performance.now();
  for await (const event of run({ files, concurrency, timeout: fileTimeoutMilliseconds })) {
    if (event.type === 'test:stderr' || event.type === 'test:stdout') {
      process.stdout.write(event.data.message);
      continue;
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const test = event.data;
    const file = test.file ?? test.name;
    if (file !== current) {
      reportCurrent();
      current = file;
      results.set(file, { passed: 0, failed: 0, skipped: 0, started: lastReport });
    }
    lastReport = performance.now();
    const result = results.get(file) as FileResult;
    const isWholeFile = test.nesting === 0 && (test.name === file || test.name === relative(root, file));
    if (test.details.type === 'suite' && event.type === 'test:pass') continue;
    if (event.type === 'test:fail') {
      if (isSuiteOfFailures(test.details.error)) continue;
      result.failed += 1;
      console.log(`✖ ${relative(root, file)}: ${test.name}\n${describe(test.details.error)}\n`);
    } else if (test.skip !== undefined && test.skip !== false) {
      result.skipped += 1;
    } else if (isWholeFile) {
      result.failed += 1;
      console.log(`✖ ${relative(root, file)} ran no test\n`);
    } else {
      result.passed += 1;
    }
  }
  reportCurrent();
  for (const file of files) {
    if (results.has(file)) continue;
    tally.failed += 1;
    console.log(`✖ ${relative(root, file)} reported nothing\n`);
  }
}

/** A suite, or a test with subtests, that failed only because what is inside it failed, and is counted there. */
function isSuiteOfFailures(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed';
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  return inspect(cause, { depth: 4, maxStringLength: 4000 });
}

import { relative } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';
import { compiledFile } from '../compile/compile.mjs';
import type { Tally } from './tally.ts';

/** A file that takes longer hangs: the slowest, the whole golden matrix of decoders, needs 20 minutes on two slow cores. */
const fileTimeoutMilliseconds = 40 * 60_000;

interface Place {
  root: string;
  /** The folder with their compiled form; undefined where files are run as they are. */
  compiled?: string;
}

interface Options extends Place {
  lanes: readonly (readonly string[])[];
  tally: Tally;
  print?(text: string): void;
}

/**
 * Runs test files with node:test, each in its own process, one at a time in each lane: the lane's files in order, then files that
 * other lanes still have. After a file, prints its output, its failures and a line with its counts. A file in which no test ran
 * counts as a failure. Returns the seconds that each file took.
 */
export async function runTestFiles({
  lanes,
  tally,
  print = console.log,
  ...place
}: Options): Promise<Map<string, number>> {
  const { root } = place;
  const waiting = lanes.map((lane) => [...lane]);
  const count = lanes.flat().length;
  const seconds = new Map<string, number>();
  const work = async (own: string[]) => {
    const next = () => own.shift() ?? waiting.find((lane) => lane.length > 0)?.shift();
    for (let file = next(); file !== undefined; file = next()) {
      const started = performance.now();
      const { passed, failed, skipped, output } = await runTestFile(place, file);
      seconds.set(file, (performance.now() - started) / 1000);
      if (output !== '') print(output.trimEnd());
      print(
        `${failed > 0 ? '✖' : '✔'} [${seconds.size}/${count}] ${relative(root, file)}: ${passed} passed, ` +
          `${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''} (${seconds.get(file)!.toFixed(0)} s)`,
      );
      tally.passed += passed;
      tally.failed += failed;
      tally.skipped += skipped;
    }
  };
  await Promise.all(waiting.map(work));
  return seconds;
}

/**
 * Runs one file, with its own `run`: node:test names the file in which a test is written, which is not the one that ran
 * where files share tests.
 */
async function runTestFile({ root, compiled }: Place, file: string): Promise<Tally & { output: string }> {
  const program = compiled === undefined ? file : compiledFile(compiled, root, file);
  const result = { passed: 0, failed: 0, skipped: 0, output: '' };
  const fail = (message: string) => {
    result.failed += 1;
    result.output += `✖ ${relative(root, file)}${message}\n\n`;
  };
  for await (const event of run({ files: [program], timeout: fileTimeoutMilliseconds })) {
    if (event.type === 'test:stderr' || event.type === 'test:stdout') result.output += event.data.message;
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const test = event.data;
    const isWholeFile = test.nesting === 0 && [program, relative(process.cwd(), program)].includes(test.name);
    if (test.details.type === 'suite' && event.type === 'test:pass') continue;
    if (event.type === 'test:fail') {
      if (!isSuiteOfFailures(test.details.error)) fail(`: ${test.name}\n${describe(test.details.error)}`);
    } else if (test.skip !== undefined && test.skip !== false) result.skipped += 1;
    else if (!isWholeFile) result.passed += 1;
  }
  if (result.passed + result.failed + result.skipped === 0) fail(' ran no test');
  return result;
}

/** A suite, or a test with subtests, that failed only because of its subtests, which are counted themselves. */
function isSuiteOfFailures(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed';
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  return inspect(cause, { depth: 4, maxStringLength: 4000 });
}

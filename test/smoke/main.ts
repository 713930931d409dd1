/**
 * npm run smoke: runs smoke.ts on each version of Node that Graft supports, in parallel, with one build of TensorFlow's addon, which
 * uses Node-API. The Node versions are installed from npm into the cache folder. Ends with `N passed, N failed`.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { nodeBinary } from '../../scripts/tools/fetch-tool.ts';

/** The newest release of each line; the first line is the oldest that package.json allows. */
const versions = ['20.20.2', '22.23.3', '24.21.0'];
const root = join(import.meta.dirname, '../..');
const sum = { passed: 0, failed: 0 };

async function smoke(version: string): Promise<void> {
  const started = performance.now();
  const { passed, failed, output } = await runSmoke(version);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  sum.passed += passed;
  sum.failed += failed;
  console.log(`${failed === 0 ? '✔' : '✖'} Node ${version}: ${passed} passed (${seconds} s)`);
  if (failed > 0) console.log(output);
}

await Promise.all(versions.map(smoke));
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exitCode = sum.failed > 0 ? 1 : 0;

async function runSmoke(version: string): Promise<{ passed: number; failed: number; output: string }> {
  try {
    const args = ['--test-reporter=tap', 'scripts/compile/run.mjs', 'test/smoke/smoke.ts'];
    const { ended, output } = await run(nodeBinary(version), args);
    const count = (word: string) => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
    const passed = count('pass');
    // A run without a count ended early and has failed.
    return { passed, failed: ended && passed > 0 ? 0 : Math.max(1, count('fail')), output };
  } catch (error) {
    return { passed: 0, failed: 1, output: (error as Error).message };
  }
}

/** Runs a program; returns whether its exit code was 0, and its output. */
async function run(command: string, args: string[]): Promise<{ ended: boolean; output: string }> {
  const options = { cwd: root, timeout: 240_000, maxBuffer: 64 * 2 ** 20 };
  return await new Promise((resolve) => {
    execFile(command, args, options, (error, stdout, stderr) =>
      resolve({ ended: error === null, output: `${stdout}${stderr}` }),
    );
  });
}

/**
 * npm run smoke: smoke.ts on each version of Node that Graft runs on, with one build of TensorFlow's addon, which is Node-API. The
 * versions come from their npm packages, into the cache folder. Ends with `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { nodeBinary } from '../../scripts/tools/fetch-tool.ts';

/** The newest of each line; the first is the oldest line that package.json allows. */
const versions = ['20.20.2', '22.23.3', '24.21.0'];
const root = join(import.meta.dirname, '../..');
const sum = { passed: 0, failed: 0 };

for (const version of versions) {
  const started = performance.now();
  const { passed, failed, output } = runSmoke(version);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  sum.passed += passed;
  sum.failed += failed;
  console.log(`${failed === 0 ? '✔' : '✖'} Node ${version}: ${passed} passed (${seconds} s)`);
  if (failed > 0) console.log(output);
}
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exitCode = sum.failed > 0 ? 1 : 0;

function runSmoke(version: string): { passed: number; failed: number; output: string } {
  try {
    const node = nodeBinary(version);
    const args = ['--test-reporter=tap', 'scripts/compile/run.mjs', 'test/smoke/smoke.ts'];
    const ran = spawnSync(node, args, { cwd: root, encoding: 'utf8', timeout: 240_000 });
    const output = `${ran.stdout}${ran.stderr}`;
    const count = (word: string) => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
    const passed = count('pass');
    // One that ended before it counted has failed.
    return { passed, failed: ran.status === 0 && passed > 0 ? 0 : Math.max(1, count('fail')), output };
  } catch (error) {
    return { passed: 0, failed: 1, output: (error as Error).message };
  }
}

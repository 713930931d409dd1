import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import type { Check, Made } from './check.ts';
import { reportOf } from './report.ts';
import { runApart } from './run-apart.ts';

const folder = scratchFolder('check-gpu');
let runs = 0;

/** Makes a check whose process does this; `report` writes an outcome. */
async function made(body: string, more: Partial<Check> = {}, limitSeconds = 60): Promise<Made> {
  const shared = join(folder, String(++runs));
  mkdirSync(shared);
  const entry = join(shared, 'entry.mjs');
  const report =
    "import { writeFileSync } from 'node:fs';\nconst report = (outcome) => writeFileSync(process.argv[4], JSON.stringify(outcome));\n";
  writeFileSync(entry, report + body);
  const check: Check = { name: 'one', precision: 'fp32', run: async () => ({}), ...more };
  const signal = new AbortController().signal;
  return await runApart(check, { device: { kind: 'cpu' }, small: true, shared, limitSeconds, signal, entry });
}

test('a process that crashes or takes too long is a failure with what it wrote last', async () => {
  const crashed = await made(
    "console.error('the last words'); process.kill(process.pid, 'SIGSEGV'); setTimeout(() => {}, 9e4);",
  );
  assert.ok(crashed.result === 'failed' && crashed.reason === 'its process ended by SIGSEGV');
  assert.deepEqual(crashed.output, ['the last words']);
  const exited = await made('process.exit(3);');
  assert.ok(exited.result === 'failed' && exited.reason === 'its process ended by exit code 3');
  const silent = await made('');
  assert.ok(silent.result === 'failed' && silent.reason === 'it ended without an outcome');
  // With all that it started: what holds its output would keep the report waiting.
  const late = await made(
    "import { spawn } from 'node:child_process'; spawn('sleep', ['90'], { stdio: 'inherit' }); setTimeout(() => {}, 9e4);",
    {},
    2,
  );
  assert.ok(late.result === 'failed' && late.reason === 'it took longer than 2 s');
  assert.ok(late.seconds < 60);

  const report = reportOf({ card: 'any' }, [crashed, late]);
  assert.match(report, /\| one \| failed \| .*its process ended by SIGSEGV \|/);
  assert.match(report, /What one wrote last:\n\n```\nthe last words\n```/);
  assert.match(report, /\n0 checks passed, 2 failed, 0 not possible here$/);
});

test('it has the environment of the device and of the check, and no secrets', async () => {
  process.env.GRAFT_PEPPER = 'secret';
  const body = `const { CUDA_VISIBLE_DEVICES, NVIDIA_TF32_OVERRIDE, GRAFT_KERNELS, GRAFT_PEPPER } = process.env;
    report({ result: 'passed', figures: { CUDA_VISIBLE_DEVICES, NVIDIA_TF32_OVERRIDE, GRAFT_KERNELS, GRAFT_PEPPER } });`;
  const one = await made(body, { environment: { GRAFT_KERNELS: 'stock' } });
  assert.ok(one.result === 'passed');
  assert.deepEqual(one.figures, {
    CUDA_VISIBLE_DEVICES: '',
    NVIDIA_TF32_OVERRIDE: '0',
    GRAFT_KERNELS: 'stock',
  });
});

test('a check that passed without what it must log is not possible here, and the report ends with the reason', async () => {
  const mustLog = { text: 'compiled it', otherwise: 'nothing was compiled' };
  const passed = "report({ result: 'passed', figures: { step: '1 | 2 ms' } });";
  const without = await made(passed, { mustLog });
  const withIt = await made(`console.error('… compiled it …'); ${passed}`, { mustLog });
  assert.deepEqual([without.result, withIt.result], ['not possible', 'passed']);
  const report = reportOf({ card: 'any' }, [without, withIt]);
  assert.match(report, /step: 1 \\\| 2 ms/);
  assert.match(report, /\n1 checks passed, 0 failed, 1 not possible here \(nothing was compiled\)$/);
});

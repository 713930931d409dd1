/** All that check:gpu does, on the processor in small sizes. What compares with PyTorch takes its pythonEnvironment. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { pythonEnvironment } from '../golden/environment/python-environment.ts';
import { checks } from './checks.ts';

const runner = join(import.meta.dirname, '../compile/run.mjs');
const run = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [runner, 'scripts/check-gpu/main.ts', ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });

test('every check passes on the processor, and the report tells what each found', async () => {
  await pythonEnvironment();
  const { status, stdout, stderr } = run(['--device', 'cpu', '--small']);
  assert.equal(status, 0, stdout + stderr);
  const lines = stdout.trim().split('\n');
  assert.equal(lines.at(-1), `${checks.length} checks passed, 0 failed, 0 not possible here`);
  const figuresOf = (name: string) => lines.find((line) => line.startsWith(`| ${name} | passed |`));
  for (const name of ['demo', 'demo-xla', 'demo-pytorch', 'billion', 'billion-xla', 'billion-pytorch'])
    assert.match(figuresOf(name)!, /step: [\d.]+ ms in (fp32|bf16), speed: \d+ tokens\/s.* loss: \d/, name);
  // The sides train the same model on the same batches: they begin with the same loss.
  const firstLosses = ['billion', 'billion-xla', 'billion-pytorch'].map((name) =>
    Number(/loss: ([\d.]+)/.exec(figuresOf(name)!)![1]),
  );
  assert.ok(Math.max(...firstLosses) - Math.min(...firstLosses) < 0.01, firstLosses.join(' '));
  assert.match(figuresOf('engine')!, /fp32: [\d.]+ TFLOP\/s/);
  assert.match(figuresOf('golden-matrix')!, /cells: 1, checks: [1-9]/);
  assert.match(figuresOf('sharing')!, /answers: [1-9]/);
  assert.match(figuresOf('kill-and-resume')!, /gone on from: step [1-9]\d*, .*bits: the same/);
  assert.match(stdout, /^- device: the processor$/m);
});

test('without a card it says in one line what is missing', () => {
  const { status, stdout, stderr } = run([], { PATH: '' });
  assert.deepEqual([status, stdout], [1, '']);
  assert.match(stderr, /^✗ [^\n]*(no NVIDIA driver|Linux x86-64 only)[^\n]*\n$/);
});

test('wrong usage is told', () => {
  assert.equal(run(['--device', 'tpu']).status, 2);
  assert.match(
    run(['--only', 'none-such']).stderr,
    /no check of engine, golden-matrix, .* contains none-such/,
  );
});

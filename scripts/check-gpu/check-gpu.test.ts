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

test('every check passes on the processor, and the report lists the figures of each', async () => {
  await pythonEnvironment();
  // In small sizes "billion" is the same as "seven".
  const tried = checks.filter(({ name }) => !name.startsWith('billion'));
  const words = [...new Set(tried.map(({ name }) => name.replace(/^(demo|seven).*/, '$1')))];
  const { status, stdout, stderr } = run(['--device', 'cpu', '--small', '--only', words.join()]);
  assert.equal(status, 0, stdout + stderr);
  const lines = stdout.trim().split('\n');
  const resultOf = (name: string) => lines.find((line) => line.startsWith(`| ${name} |`))!.split(' | ')[1];
  for (const { name } of tried)
    if (!name.endsWith('bitsandbytes')) assert.equal(resultOf(name), 'passed', name);
  assert.match(lines.at(-1)!, /^\d+ checks passed, 0 failed, \d not possible here/);
  const figuresOf = (name: string) => lines.find((line) => line.startsWith(`| ${name} | passed |`));
  for (const name of ['demo', 'demo-xla', 'demo-pytorch', 'seven', 'seven-xla', 'seven-pytorch', 'seven-nf4'])
    assert.match(figuresOf(name)!, /step: [\d.]+ ms in (fp32|bf16), speed: \d+ tokens\/s.* loss: \d/, name);
  // The sides train the same model on the same batches: they begin with the same loss.
  const firstLosses = ['seven', 'seven-xla', 'seven-pytorch'].map((name) =>
    Number(/loss: ([\d.]+)/.exec(figuresOf(name)!)![1]),
  );
  assert.ok(Math.max(...firstLosses) - Math.min(...firstLosses) < 0.01, firstLosses.join(' '));
  assert.match(figuresOf('engine')!, /fp32: [\d.]+ TFLOP\/s/);
  assert.match(
    figuresOf('placement')!,
    /nodes: 0 on the GPU, [1-9]\d+ on the processor, copies: 0, a step takes: /,
  );
  assert.match(figuresOf('out-of-memory')!, /RESOURCE_EXHAUSTED, afterwards: computes/);
  assert.match(figuresOf('serving')!, /1 at once: \d+ tokens\/s, first token: \d+ ms, 8 at once: [1-9]/);
  assert.match(figuresOf('golden-matrix')!, /cells: 1, checks: [1-9]/);
  assert.match(figuresOf('sharing')!, /answers: [1-9]/);
  assert.match(figuresOf('kill-and-resume')!, /resumed from: step [1-9]\d*, .*bits: the same/);
  assert.match(stdout, /^- device: the processor$/m);
});

test('without a card it says in one line what is missing', () => {
  const { status, stdout, stderr } = run([], { PATH: '' });
  assert.deepEqual([status, stdout], [1, '']);
  assert.match(stderr, /^✗ [^\n]*(no NVIDIA driver|Linux x86-64 only)[^\n]*\n$/);
});

test('wrong usage is reported', () => {
  assert.equal(run(['--device', 'tpu']).status, 2);
  assert.match(
    run(['--only', 'none-such']).stderr,
    /--only must contain a part of a check's name \(engine, placement, .*\), got none-such/,
  );
});

/**
 * SIGKILL at every write, fsync, rename and mkdir during the writing of a checkpoint: readers find either no checkpoint or a complete
 * and valid one. strace injects the signal; where strace is not allowed, the writer is killed after increasing times.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { type CheckpointCandidate, loadCheckpoint } from '@graft/peft-core/checkpoints';
import { build } from 'esbuild';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';

const folder = scratchFolder('checkpoint-killed');
const writer = join(folder, 'writer.mjs');
const attempt = join(folder, '00000001');
const [earlier, step] = [4, 5];
const layout = {
  size: 6,
  entries: [{ name: 'a', shape: [2, 3], offset: 0, length: 6, decayed: true }],
  views: (flat: Float32Array) => new Map([['a', { shape: [2, 3], data: flat }]]),
};
const calls = 'write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat';
const strace = (inject: string[]) => [
  'strace',
  '-f',
  '-qq',
  '-o',
  '/dev/null',
  '-e',
  `trace=${calls}`,
  ...inject,
];
const [tracer = '', ...probe] = [...strace([]), 'true'];
const hasStrace = spawnSync(tracer, probe).status === 0;

/** Writes a checkpoint whose values all equal its step. */
const program = `
  import { MetricLog, writeCheckpoint } from '@graft/peft-core/checkpoints';
  const [folder, step, milliseconds] = process.argv.slice(2);
  if (milliseconds) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(milliseconds));
  const log = new MetricLog(null);
  for (let i = 1; i <= step; i++)
    log.addStep({ epoch: i, loss: 1 / i, tokenAccuracy: null, learningRate: 0, gradNorm: 1, tokens: i, tokensPerSecond: 1, memoryBytes: 1 });
  const data = new Float32Array(6).fill(step);
  const layout = { views: (flat) => new Map([['a', { shape: [2, 3], data: flat }]]) };
  const state = new Map([['adapter', data], ['exp_avg', data]]);
  const checkpoint = { step: Number(step), trainedTokens: 7, state, series: log.series };
  await writeCheckpoint(folder, checkpoint, layout, 'of the test');
  process.exit(0);
`;

before(async () => {
  await build({
    stdin: { contents: program, resolveDir: import.meta.dirname, loader: 'ts' },
    outfile: writer,
    bundle: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'error',
  });
});

/** Runs the writer, killed at the nth such call in one thread. Returns whether it completed. */
function write(of: number, nth: number | null): boolean {
  const command = [process.execPath, writer, attempt, String(of)];
  if (nth !== null && hasStrace)
    command.unshift(...strace(['-e', `inject=${calls}:signal=SIGKILL:when=${nth}`]));
  else if (nth !== null) command.push(String(2 * nth));
  const [file, ...args] = command as [string, ...string[]];
  // One thread makes all file system calls, one after another.
  const { status, stderr } = spawnSync(file, args, { env: { ...process.env, UV_THREADPOOL_SIZE: '1' } });
  if (status !== 0) assert.equal(String(stderr), '', 'it was killed, and did not fail');
  return status === 0;
}

test('a writer that is killed anywhere leaves nothing, or a checkpoint that verifies', async (t) => {
  mkdirSync(attempt);
  assert.ok(write(earlier, null));
  const before = readdirSync(attempt);
  let nothing = 0;
  let whole = 0;
  for (let nth = 1; ; nth++) {
    const ended = write(step, nth);
    const found = readdirSync(attempt).filter((name) => /^step-\d{8}$/.test(name));
    const candidates: CheckpointCandidate[] = found
      .reverse()
      .map((name) => ({ dir: join(attempt, name), step: Number(name.slice(5)), digest: null }));
    const { checkpoint, passedOver } = await loadCheckpoint(
      candidates,
      layout,
      ['adapter', 'exp_avg'],
      'of the test',
    );
    assert.deepEqual(passedOver, [], `killed at call ${nth}`);
    assert.equal(checkpoint?.step, candidates[0]!.step);
    for (const values of checkpoint!.state.values())
      assert.deepEqual(values, new Float32Array(6).fill(checkpoint!.step));
    assert.equal(checkpoint!.series.train.loss.length, checkpoint!.step);
    if (candidates.length === 1) nothing += 1;
    else whole += 1;
    for (const name of readdirSync(attempt))
      if (!before.includes(name)) rmSync(join(attempt, name), { recursive: true });
    if (ended) break;
    assert.ok(nth < 500);
  }
  t.diagnostic(
    `${hasStrace ? 'strace' : 'timer'}: nothing to see after ${nothing}, a whole one after ${whole}`,
  );
  if (hasStrace) assert.ok(nothing > 20 && whole >= 2, `${nothing} and ${whole}`);
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '../../test/service/running-graft.ts';

test('a measurement ends when the benchmark that started it is killed', async () => {
  const start = `
    import { runForResult, typeScript } from ${JSON.stringify(new URL('./processes.ts', import.meta.url).href)};
    await runForResult(typeScript(${JSON.stringify(join(import.meta.dirname, 'testing/endless.ts'))}));`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', start];
  const cwd = resolve(import.meta.dirname, '../..');
  const benchmark = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'inherit', 'pipe'] });
  const pid = Number(
    await new Promise((resolve, reject) => {
      benchmark.stderr.once('data', resolve);
      benchmark.once('exit', () => reject(new Error('the benchmark ended')));
    }),
  );
  assert.ok(isAlive(pid));
  benchmark.kill('SIGKILL');
  for (const end = performance.now() + 60_000; isAlive(pid); await sleep(50))
    assert.ok(performance.now() < end, 'it has ended in time');
});

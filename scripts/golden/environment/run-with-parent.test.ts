import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withParent } from './run-python.ts';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'graft-with-parent-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('a script has its arguments, its folder and its exit code', () => {
  const script = join(folder, 'script.py');
  writeFileSync(join(folder, 'beside.py'), 'answer = 3');
  writeFileSync(script, 'import sys, beside\nprint(sys.argv, __name__)\nsys.exit(beside.answer)\n');
  const ran = spawnSync('python3', withParent(script, 'a', '--b'), { encoding: 'utf8' });
  assert.equal(ran.stdout.trim(), `['${script}', 'a', '--b'] __main__`);
  assert.equal(ran.status, 3, ran.stderr);
});

test('a script that computes ends when the process that started it is killed', async () => {
  const script = join(folder, 'busy.py');
  writeFileSync(script, 'import os\nprint(os.getpid(), flush=True)\nwhile True: pass\n');
  const start = `
    import { spawn } from 'node:child_process';
    import { withParent } from ${JSON.stringify(new URL('./run-python.ts', import.meta.url).href)};
    spawn('python3', withParent(${JSON.stringify(script)}), { stdio: 'inherit' });`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', start];
  const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = Number(
    await new Promise((resolve, reject) => {
      parent.stdout.once('data', resolve);
      parent.once('exit', () => reject(new Error('the parent ended')));
    }),
  );
  assert.ok(isAlive(pid));
  parent.kill('SIGKILL');
  for (const end = performance.now() + 60_000; isAlive(pid); await sleep(50))
    assert.ok(performance.now() < end, 'it has ended in time');
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

// A parent that forks a child which listens to it and then blocks its thread for ten minutes.
const child = `
  const { listenToParent } = await import(${JSON.stringify(new URL('./listen-to-parent.ts', import.meta.url).href)});
  listenToParent(() => {});
  process.send('watched', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600000));
`;
const parent = (childFile: string) => `
  import { fork } from 'node:child_process';
  const child = fork(${JSON.stringify(childFile)}, {
    env: { ...process.env, GRAFT_PARENT_PID: String(process.pid) },
    execArgv: ['--import', ${JSON.stringify(import.meta.resolve('tsx'))}],
  });
  child.on('message', () => process.send(child.pid));
`;

it('ends a child that is deep in computation when its parent is killed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-watchdog-'));
  try {
    await writeFile(join(folder, 'child.mjs'), child);
    await writeFile(join(folder, 'parent.mjs'), parent(join(folder, 'child.mjs')));
    const process1 = fork(join(folder, 'parent.mjs'), { execArgv: [] });
    const [pid] = (await once(process1, 'message')) as [number];
    await sleep(700);
    assert.doesNotThrow(() => process.kill(pid, 0), 'it lives while its parent does');
    process1.kill('SIGKILL');
    await once(process1, 'exit');
    for (let i = 0; i < 30; i++) {
      await sleep(100);
      try {
        process.kill(pid, 0);
      } catch {
        return;
      }
    }
    process.kill(pid, 'SIGKILL');
    assert.fail('the child computes on without its parent');
  } finally {
    await rm(folder, { recursive: true });
  }
});

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

// A parent that forks a child which listens to it and then blocks its thread for ten minutes.
const child = `
  const { listenToParent } = await import(${JSON.stringify(new URL('./listen-to-parent.ts', import.meta.url).href)});
  listenToParent(() => null, () => {});
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

// A parent that grants its child a lease of 1.5 seconds and renews it as long as the parent runs.
const grantor = (childFile: string) => `
  import { pathToFileURL } from 'node:url';
  const { ForkedProcess } = await import(${JSON.stringify(new URL('./forked-process.ts', import.meta.url).href)});
  const forked = new ForkedProcess('child', { results: ['stopped'], check: () => null }, {
    entry: pathToFileURL(${JSON.stringify(childFile)}),
    device: { kind: 'cpu' },
    log: { info() {} },
    stallMilliseconds: 60000,
    idleMilliseconds: 60000,
  });
  setInterval(() => forked.holdUntil(performance.now() + 1500), 100);
  const answer = forked.call({ message: { type: 'run' }, precision: 'fp32', stop: new AbortController().signal });
  await answer.next();
  process.send(forked.pid);
  const end = await answer.next();
  process.send(end.value.type);
`;

async function untilGone(pid: number): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    await sleep(100);
    try {
      process.kill(pid, 0);
    } catch {
      return true;
    }
    // A zombie: the child has ended, but its frozen parent has not reaped it.
    if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return true;
  }
  process.kill(pid, 'SIGKILL');
  return false;
}

it('ends a child when its lease is over, however deep in computation, while its parent is frozen', async (t) => {
  if (process.platform !== 'linux') return t.skip('reads /proc');
  const folder = await mkdtemp(join(tmpdir(), 'graft-lease-'));
  try {
    await writeFile(join(folder, 'child.mjs'), child.replace("'watched'", "{ type: 'started' }"));
    await writeFile(join(folder, 'parent.mjs'), grantor(join(folder, 'child.mjs')));
    const holder = fork(join(folder, 'parent.mjs'), { execArgv: ['--import', import.meta.resolve('tsx')] });
    const [pid] = (await once(holder, 'message')) as [number];
    await sleep(2500);
    assert.doesNotThrow(() => process.kill(pid, 0), 'it lives while its lease is renewed');
    holder.kill('SIGSTOP');
    assert.ok(await untilGone(pid), 'the child computes on without a lease');
    const reply = once(holder, 'message');
    holder.kill('SIGCONT');
    assert.deepEqual((await reply)[0], 'crashed');
    holder.kill('SIGKILL');
  } finally {
    await rm(folder, { recursive: true });
  }
});

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

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasEnded, type ProcessIdentity, thisProcess } from './process-identity.ts';

const started: ChildProcess[] = [];
after(() => {
  for (const child of started) child.kill('SIGKILL');
});

/** A child of the program, once it has told who it is. */
async function start(
  program: string,
): Promise<{ child: ChildProcess; identity: ProcessIdentity; said: string }> {
  const own = JSON.stringify(new URL('./process-identity.ts', import.meta.url).href);
  const source = `const { thisProcess } = await import(${own}); const self = JSON.stringify(thisProcess()); ${program}`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source]);
  started.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const [identity, said = ''] = line.toString().trim().split('|');
  return { child, identity: JSON.parse(identity!), said };
}

describe('a process of this machine', { skip: process.platform !== 'linux' && 'only Linux tells' }, () => {
  test('lives while it runs and while it is stopped, and has ended once it is killed', async () => {
    const { child, identity } = await start('console.log(self); setInterval(() => {}, 1000);');
    assert.equal(identity.machine, thisProcess()!.machine);
    assert.equal(identity.pid, child.pid);
    assert.equal(hasEnded(identity), false);
    child.kill('SIGSTOP');
    await sleep(50);
    assert.equal(hasEnded(identity), false);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    assert.equal(hasEnded(identity), true);
  });

  test('has ended although nobody has taken note of its end', async () => {
    // The shell becomes `sleep`, which never waits for the child that it was left.
    const orphanage = spawn('sh', [
      '-c',
      `sh -c 'echo $$; cat /proc/$$/stat; read line' <&0 & exec sleep 60`,
    ]);
    started.push(orphanage);
    const [line] = (await once(orphanage.stdout, 'data')) as [Buffer];
    const pid = Number.parseInt(line.toString(), 10);
    process.kill(pid, 'SIGKILL');
    for (let tries = 0; tries < 100 && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '); tries++)
      await sleep(20);
    assert.match(readFileSync(`/proc/${pid}/stat`, 'utf8'), /\) Z /);
    assert.equal(hasEnded({ machine: '', pid, start: '1' }), true);
  });

  test('is not taken for a later one with its number', () => {
    const self = thisProcess()!;
    assert.equal(hasEnded(self), false);
    assert.equal(hasEnded({ ...self, start: String(Number(self.start) - 1) }), true);
  });
});

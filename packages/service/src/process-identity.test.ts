import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasEnded, isRunning, processIdentity, processNamespace } from './process-identity.ts';

const started: ChildProcess[] = [];
after(() => {
  for (const child of started) child.kill('SIGKILL');
});

function start(command: string, ...args: string[]): ChildProcess {
  const child = spawn(command, args);
  started.push(child);
  return child;
}

test('a process runs while it is stopped too, and has ended once it is killed', async () => {
  const child = start('sleep', '60');
  await once(child, 'spawn');
  const identity = processIdentity(child.pid!)!;
  child.kill('SIGSTOP');
  await sleep(50);
  assert.deepEqual([isRunning(identity), hasEnded(identity)], [true, false]);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  assert.deepEqual([isRunning(identity), hasEnded(identity)], [false, true]);
});

test('it has ended although nobody has taken note of its end', async () => {
  // The shell becomes `sleep`, which never waits for its child process.
  const orphanage = start('sh', '-c', "sh -c 'echo $$; exec sleep 60' & exec sleep 60");
  const [line] = (await once(orphanage.stdout!, 'data')) as [Buffer];
  const pid = Number.parseInt(line.toString(), 10);
  const identity = processIdentity(pid)!;
  process.kill(pid, 'SIGKILL');
  for (let tries = 0; tries < 100 && !hasEnded(identity); tries++) await sleep(20);
  assert.doesNotThrow(() => process.kill(pid, 0), 'its number is still taken');
  assert.deepEqual([isRunning(identity), hasEnded(identity)], [false, true]);
});

test('it is not taken for a later one with its number', () => {
  const identity = processIdentity(process.pid)!;
  assert.equal(hasEnded(identity), false);
  assert.equal(hasEnded(`${process.pid} 1`), true);
});

test('pids are distinguished by machine, boot and container', { skip: process.platform !== 'linux' }, () => {
  assert.match(processNamespace()!, /^\S+ [0-9a-f-]{36} pid:\[\d+\]$/);
});

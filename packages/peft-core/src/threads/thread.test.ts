import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createThread, ThreadTimeout } from './thread.ts';

const echo = new URL('testing/echo.ts', import.meta.url);
/** Enough time to start the thread, too. */
const patient = { ms: 60_000 };

test('an answer that came while this event loop was held is no timeout', async (t) => {
  const thread = createThread<{ answered: Int32Array }, string>(echo, 64);
  t.after(() => thread.close());
  const answered = new Int32Array(new SharedArrayBuffer(4));
  await thread.call({ answered }, patient);
  Atomics.store(answered, 0, 0);
  // The generator also computes its steps here: the event loop runs its timers next.
  await new Promise((resolve) => setImmediate(resolve));
  const answer = thread.call({ answered }, { ms: 20 });
  // Blocks the event loop for longer than the call may take, as a step of the model does.
  assert.notEqual(Atomics.wait(answered, 0, 0, 60_000), 'timed-out');
  for (const end = performance.now() + 500; performance.now() < end; );
  assert.equal(await answer, 'answer');
});

test('a call that is not answered in time rejects, and the next one has a new thread', async (t) => {
  const thread = createThread<{ answered: Int32Array | null }, string>(echo, 64);
  t.after(() => thread.close());
  await assert.rejects(thread.call({ answered: null }, { ms: 200 }), ThreadTimeout);
  assert.equal(await thread.call({ answered: new Int32Array(new SharedArrayBuffer(4)) }, patient), 'answer');
});

test('a limit of processor time counts the work of the thread, not the time that passes', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const thread = createThread<{ sleep: number; work: number }, string>(
    new URL('testing/spin.ts', import.meta.url),
    64,
  );
  t.after(() => thread.close());
  await thread.call({ sleep: 0, work: 0 }, patient);
  assert.equal(await thread.call({ sleep: 600, work: 0 }, { ms: 60_000, processorMs: 300 }), 'answer');
  await assert.rejects(
    thread.call({ sleep: 0, work: 1e9 }, { ms: 600_000, processorMs: 300 }),
    ThreadTimeout,
  );
});

test('a thread yields to its process, and is no faster than one that was started with nice', {
  skip: process.platform !== 'linux' || getPriority() > 2,
}, async () => {
  const program = new URL('testing/start-below.ts', import.meta.url).pathname;
  const priorityBelow = async (nice: number) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--import',
      'tsx',
      program,
      String(nice),
    ]);
    return Number(stdout);
  };
  assert.equal(await priorityBelow(2), 5);
  assert.equal(await priorityBelow(10), 10);
});

test('a thread has its own limit of memory, also in a process with a flag for it', () => {
  const program = `
    const entry = new URL('data:text/javascript,import v8 from "node:v8"; import { parentPort } from "node:worker_threads"; parentPort.postMessage(v8.getHeapStatistics().heap_size_limit)');
    import(${JSON.stringify(new URL('./thread.ts', import.meta.url).href)}).then(({ startWorker }) =>
      startWorker(entry, 64).on('message', (bytes) => console.log(bytes / 2 ** 20)));`;
  const flags = ['--max-old-space-size=512', '--import', 'tsx', '--eval', program];
  const limit = Number(execFileSync(process.execPath, flags, { encoding: 'utf8' }));
  assert.ok(limit >= 64 && limit < 128, `${limit} MiB`);
});

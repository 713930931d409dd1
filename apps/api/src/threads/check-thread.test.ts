import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ThreadEnded } from '@graft/peft-core/threads';
import { createCheckThread } from './check-thread.ts';

/** A thread that ends during its next `deaths` checks. */
const program = `
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', ({ id, message }) => {
    if (message && Atomics.sub(message.deaths, 0, 1) > 0) process.exit(3);
    parentPort.postMessage({ id, answer: message && { result: 'checked' } });
  });`;
const module = new URL(`data:text/javascript,${encodeURIComponent(program)}`);

for (const [deaths, outcome] of [
  [1, 'is tried once more'],
  [2, 'and ends again is reported'],
] as const)
  test(`a check whose thread ends ${outcome}`, async (t) => {
    const options = { heapMb: 64, timeoutMs: 30_000 };
    const thread = createCheckThread<{ deaths: Int32Array }, string>(module, options);
    t.after(() => thread.close());
    const left = new Int32Array(new SharedArrayBuffer(4)).fill(deaths);
    const checked = thread.run('a team', { deaths: left });
    if (deaths === 1) assert.equal(await checked, 'checked');
    else await assert.rejects(checked, ThreadEnded);
    assert.equal(left[0], deaths === 1 ? -1 : 0);
  });

import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { clearWorkerFaults, quarantineWorker, recordWorkerFault } from './worker-quarantine.ts';
import { pickWorker, registerWorker } from './worker-registry.ts';

let services: Services;
beforeEach(async () => {
  services ??= await openTestServices({ role: 'worker' });
  await services.sql.query('DELETE FROM workers');
  await registerWorker(services, { id: 'w1', address: 'http://w1:1', hostname: 'h', pid: 1, slots: 1 });
});
after(async () => await services.close());

test('the third fault in a row quarantines a worker, which then proves itself', async () => {
  for (const count of [1, 2]) {
    const health = (await recordWorkerFault(services, 'w1', 'no disk'))!;
    assert.deepEqual([health.consecutiveFaults, health.quarantinedAt], [count, null]);
  }
  const third = (await recordWorkerFault(services, 'w1', 'no disk'))!;
  assert.deepEqual([third.consecutiveFaults, third.quarantineReason], [3, 'no disk']);
  const fourth = (await recordWorkerFault(services, 'w1', 'no TensorFlow'))!;
  assert.deepEqual([fourth.quarantinedAt, fourth.quarantineReason], [third.quarantinedAt, 'no disk']);
  assert.deepEqual(await clearWorkerFaults(services, 'w1'), {
    consecutiveFaults: 0,
    quarantinedAt: null,
    quarantineReason: null,
  });
});

test('a quarantine survives that the worker is registered again, and ranks it last for serving', async () => {
  assert.ok((await quarantineWorker(services, 'w1', 'no data folder'))!.quarantinedAt);
  await registerWorker(services, { id: 'w1', address: 'http://w1:2', hostname: 'h', pid: 1, slots: 1 });
  assert.equal((await pickWorker(services, 'base'))!.id, 'w1');
  await registerWorker(services, { id: 'w2', address: 'http://w2:1', hostname: 'h', pid: 1, slots: 1 });
  assert.equal((await pickWorker(services, 'base'))!.id, 'w2');
  assert.equal((await quarantineWorker(services, 'w1', 'again'))!.quarantineReason, 'again');
});

test('a row that was tidied away is noticed', async () => {
  for (const act of [recordWorkerFault, quarantineWorker]) {
    assert.equal(await act(services, 'gone', 'why'), null);
  }
  assert.equal(await clearWorkerFaults(services, 'gone'), null);
});

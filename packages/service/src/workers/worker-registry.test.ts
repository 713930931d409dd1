import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import type { Services } from '../services.ts';
import { createTestJob, createTestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import {
  findDeadLocalWorkers,
  heartbeatWorker,
  pickWorker,
  registerWorker,
  removeDeadLocalWorkers,
  removeDeadWorkers,
  removeWorker,
} from './worker-registry.ts';

let services: Services;
beforeEach(async () => {
  services ??= await openTestServices();
  await services.sql.query('DELETE FROM workers');
});
after(async () => await services.close());

async function add(
  id: string,
  status: { bases?: string[]; load?: number; running?: number; draining?: boolean } = {},
): Promise<void> {
  await registerWorker(services, { id, address: `http://${id}:1`, hostname: 'here', pid: 1, slots: 1 });
  await heartbeatWorker(services, id, { running: 0, bases: [], load: 0, draining: false, ...status });
}

test('a loaded base comes first, then little load, then idle training', async () => {
  assert.equal(await pickWorker(services, 'base'), null);
  await add('training', { running: 1 });
  const { proof, ...picked } = (await pickWorker(services, 'base'))!;
  assert.deepEqual(picked, {
    id: 'training',
    address: 'http://training:1',
    protocol: null,
    certificate: null,
  });
  assert.ok(proof);
  await add('idle');
  assert.equal((await pickWorker(services, 'base'))!.id, 'idle');
  await add('busy-with-base', { bases: ['other', 'base'], load: 3 });
  await add('with-base', { bases: ['base'], load: 2 });
  assert.equal((await pickWorker(services, 'base'))!.id, 'with-base');
  assert.equal((await pickWorker(services, 'base', ['with-base']))!.id, 'busy-with-base');
  assert.equal((await pickWorker(services, 'third'))!.id, 'idle');
});

test('workers that drain, are silent or serve nothing are not picked', async () => {
  await add('draining', { draining: true });
  await add('silent');
  await services.sql.query(
    "UPDATE workers SET heartbeat_at = now() - interval '31 seconds' WHERE id = 'silent'",
  );
  await registerWorker(services, { id: 'trainer', address: null, hostname: 'here', pid: 1, slots: 1 });
  assert.equal(await pickWorker(services, 'base'), null);
});

test('a row that was tidied away is noticed by its heartbeat', async () => {
  await add('w1');
  await removeDeadWorkers(services);
  const status = { running: 0, bases: [], load: 0, draining: false };
  assert.equal(await heartbeatWorker(services, 'w1', status), true);
  await services.sql.query("UPDATE workers SET heartbeat_at = now() - interval '2 hours'");
  await removeDeadWorkers(services);
  assert.equal(await heartbeatWorker(services, 'w1', status), false);
  await add('w1');
  await removeWorker(services, 'w1');
  assert.equal(await heartbeatWorker(services, 'w1', status), false);
});

test('what a worker has measured since is sent with a heartbeat, and stays when one leaves it out', async () => {
  await add('w1');
  const capabilities = { device: 'cpu', threads: 2, precisions: ['fp32'], flops: { fp32: 5e10 } } as const;
  const status = { running: 0, bases: [], load: 0, draining: false };
  await heartbeatWorker(services, 'w1', {
    ...status,
    capabilities: { ...capabilities, precisions: ['fp32'] },
  });
  await heartbeatWorker(services, 'w1', status);
  const row = await services.db.worker.findUniqueOrThrow({ where: { id: 'w1' } });
  assert.deepEqual(row.capabilities, capabilities);
  assert.equal(row.slots, 1);
  // While a GPU is lost.
  await heartbeatWorker(services, 'w1', { ...status, slots: 0 });
  assert.equal((await services.db.worker.findUniqueOrThrow({ where: { id: 'w1' } })).slots, 0);
});

test('the dead of the own machine are found, and their rows removed once they hold no job', async () => {
  const info = { address: null, hostname: 'here', pid: process.pid, slots: 1 };
  for (const id of ['living', 'ended', 'elsewhere', 'untold'])
    await registerWorker(services, { ...info, id });
  const change = async (id: string, set: string) =>
    await services.sql.query(`UPDATE workers SET ${set} WHERE id = $1`, [id]);
  const earlier = `process = '${process.pid} 1'`;
  await change('ended', earlier);
  await change('elsewhere', `${earlier}, process_namespace = 'another machine'`);
  await change('untold', 'process = NULL');
  assert.deepEqual(await findDeadLocalWorkers(services), ['ended']);

  const job = await createTestJob(services, await createTestTeam(services), 'running');
  await services.sql.query("UPDATE jobs SET worker_id = 'ended' WHERE id = $1", [job.id]);
  await removeDeadLocalWorkers(services, ['ended']);
  assert.deepEqual(await findDeadLocalWorkers(services), ['ended']);
  await services.sql.query("UPDATE jobs SET worker_id = 'another' WHERE id = $1", [job.id]);
  await removeDeadLocalWorkers(services, ['ended']);
  assert.deepEqual(await findDeadLocalWorkers(services), []);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { leaseOf } from '../jobs/job.ts';
import { heartbeatJob } from '../jobs/leases/heartbeat-job.ts';
import { getJob } from '../jobs/records/read-jobs.ts';
import { claimJob } from '../jobs/transitions/claim-job.ts';
import type { Dispatch } from '../queue/job-queue.ts';
import type { Services } from '../services.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { registerWorker } from '../workers/worker-registry.ts';
import { startJobLoops } from './job-loops.ts';

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
  await registerWorker(services, { id: 'w1', address: null, hostname: 'here', pid: 1, slots: 4 });
});
after(async () => await services.close());

async function until(condition: () => Promise<boolean>, seconds = 20): Promise<void> {
  for (const end = performance.now() + seconds * 1000; !(await condition()); await sleep(50)) {
    assert.ok(performance.now() < end, 'in time');
  }
}

const stateOf = async (id: string) => (await getJob(services, team.id, id))!.state;

test('two workers run the loops: a queued job rings once, a lost one runs again, a lost ring is made up for', async () => {
  const loops = [startJobLoops(services), startJobLoops(services)];
  const rings: Dispatch[] = [];
  const claims: Dispatch[] = [];
  const consumer = await services.queue.consume(
    async (lease) => {
      rings.push(lease);
      if (await claimJob(services, lease, { workerId: 'w1', leaseSeconds: 2 })) claims.push(lease);
    },
    { concurrency: 2 },
  );
  try {
    const job = await createTestJob(services, team, 'queued');
    await until(async () => (await stateOf(job.id)) === 'running');
    assert.equal(rings.filter(({ id }) => id === job.id).length, 1);
    // No worker renews the lease of 2 s: swept after it, and, 1 s later, dispatched with a new epoch.
    await until(async () => claims.filter(({ id }) => id === job.id).length === 2);
    const [first, second] = claims.filter(({ id }) => id === job.id);
    assert.equal(second!.epoch, first!.epoch + 2, 'one epoch by the sweeper, one by the dispatcher');

    // Dispatched, but its ring was lost.
    const silent = await createTestJob(services, team, 'dispatched');
    await services.sql.query("UPDATE jobs SET dispatched_at = now() - interval '1 minute' WHERE id = $1", [
      silent.id,
    ]);
    await until(async () => (await stateOf(silent.id)) === 'running');
  } finally {
    await consumer.close();
    await Promise.all(loops.map((loop) => loop.close()));
  }
});

test('after an outage without sweeps, holders get one more lease period to renew, whichever process sweeps', async () => {
  const [renewed, lost] = [
    await createTestJob(services, team, 'running'),
    await createTestJob(services, team, 'running'),
  ];
  await services.sql.query(
    "UPDATE jobs SET lease_until = now() - interval '1 minute' WHERE state = 'running'",
  );
  await services.sql.query("UPDATE loop_turns SET until = now() - interval '1 minute' WHERE name = 'sweep'");
  // Like a process that has just started and has seen nothing of the outage.
  const loops = startJobLoops(services);
  try {
    const graceful = "SELECT 1 FROM loop_turns WHERE name = 'grace' AND until > now()";
    await until(async () => (await services.sql.query(graceful)).rowCount === 1);
    assert.equal(await stateOf(lost.id), 'running');
    assert.ok(await heartbeatJob(services, leaseOf(renewed), { leaseSeconds: 60 }));
    await until(async () => (await stateOf(lost.id)) !== 'running');
    assert.equal((await services.sql.query(graceful)).rowCount, 0);
    const after = await getJob(services, team.id, renewed.id);
    assert.deepEqual([after!.state, after!.attempts, after!.leaseEpoch], ['running', 1, renewed.leaseEpoch]);
  } finally {
    await loops.close();
  }
});

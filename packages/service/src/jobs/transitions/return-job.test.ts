/** Tests of jobs that a worker cannot run, and of the choice of a worker for a job. */
import assert from 'node:assert/strict';
import { after, beforeEach, describe, test } from 'node:test';
import type { Dispatch } from '../../queue/job-queue.ts';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, dispatch, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { quarantineWorker } from '../../workers/worker-quarantine.ts';
import { registerWorker } from '../../workers/worker-registry.ts';
import { type Job, leaseOf } from '../job.ts';
import { recordCheckpoint } from '../leases/record-checkpoint.ts';
import { listAttempts, listEvents } from '../records/read-job-history.ts';
import type { WorkerCapabilities } from '../turns/can-claim.ts';
import { claimJob } from './claim-job.ts';
import { dispatchJobs, staleDispatched } from './dispatch-jobs.ts';
import { returnJob } from './return-job.ts';
import { cancelJob, pauseJob } from './user-requests.ts';

let services: Services;
let team: TestTeam;
beforeEach(async () => {
  services ??= await openTestServices();
  await services.sql.query('DELETE FROM teams');
  await services.sql.query('DELETE FROM workers');
  team = await createTestTeam(services, 100);
});
after(async () => await services.close());

const cpu = (threads: number): WorkerCapabilities => ({ device: 'cpu', threads, precisions: ['fp32'] });
const gpu: WorkerCapabilities = { device: 'gpu', threads: 16, precisions: ['bf16', 'fp32'] };
const reason = 'Its data folder is not there.';
const why = { workerId: 'broken', reason };

async function addWorker(
  id: string,
  capabilities: WorkerCapabilities | null = null,
  slots = 1,
): Promise<void> {
  await registerWorker(services, { id, address: null, hostname: 'here', pid: 1, slots, capabilities });
}

/** Queued → dispatched → running, by this worker. Null if it may not claim the job. */
async function take(
  lease: Dispatch,
  workerId: string,
  capabilities: WorkerCapabilities | null = null,
): Promise<Job | null> {
  return await claimJob(services, lease, { workerId, leaseSeconds: 60, capabilities });
}

async function secondsToWait(id: string): Promise<number> {
  const { rows } = await services.sql.query<{ seconds: number }>(
    'SELECT extract(epoch FROM run_after - now())::float8 AS seconds FROM jobs WHERE id = $1',
    [id],
  );
  return rows[0]!.seconds;
}

describe('a job that a worker cannot run', () => {
  test('goes back with its attempt refunded and a pause that grows', async () => {
    const job = await createTestJob(services, team, 'running');
    let lease = leaseOf(job);
    for (const minutes of [1, 2, 5, 10, 10]) {
      const queued = (await returnJob(services, lease, why))!;
      assert.deepEqual(
        [
          queued.state,
          queued.attempts,
          queued.attemptsSinceCheckpoint,
          queued.avoidWorker,
          queued.leaseUntil,
        ],
        ['queued', 0, 0, 'broken', null],
      );
      const seconds = await secondsToWait(job.id);
      assert.ok(seconds > minutes * 60 - 5 && seconds <= minutes * 60, `${seconds} s for ${minutes} min`);
      const again = await take(await dispatch(services, job.id), 'broken');
      assert.ok(again, 'no other worker lives');
      lease = leaseOf(again);
    }
    const { data } = await listEvents(services, team.id, job.id, { limit: 2 });
    assert.equal(
      data[1]!.message,
      `Worker broken cannot run this job, job goes elsewhere in 10 min: ${reason}`,
    );
    const attempts = await listAttempts(services, team.id, job.id);
    assert.deepEqual(
      attempts.slice(-2).map(({ outcome, reason }) => [outcome, reason]),
      [
        ['environment', reason],
        [null, null],
      ],
    );
  });

  test('fails at last, but a new checkpoint restarts the count', async () => {
    const job = await createTestJob(services, team, 'running');
    await services.sql.query('UPDATE jobs SET environment_faults = 18 WHERE id = $1', [job.id]);
    assert.equal((await returnJob(services, leaseOf(job), why))!.environmentFaults, 19);
    let lease = leaseOf((await take(await dispatch(services, job.id), 'broken'))!);
    await recordCheckpoint(services, lease, {
      step: 5,
      metrics: {},
      path: 'p',
      bytes: 1,
      digest: 'd',
      seconds: 1,
      series: [],
    });
    assert.equal((await returnJob(services, lease, why))!.environmentFaults, 1);
    await services.sql.query('UPDATE jobs SET environment_faults = 19 WHERE id = $1', [job.id]);
    lease = leaseOf((await take(await dispatch(services, job.id), 'broken'))!);
    const failed = (await returnJob(services, lease, why))!;
    assert.deepEqual(
      [failed.state, failed.error!.code, failed.error!.fault],
      ['failed', 'no_fit_worker', 'environment'],
    );
    assert.equal(
      failed.error!.message,
      `Workers could not run the job 20 times without a new checkpoint between. The last error: ${reason}`,
    );
  });

  test('is paused or cancelled where that was asked', async () => {
    const paused = await createTestJob(services, team, 'running');
    await pauseJob(services, team.id, paused.id, { keyId: 'key-test' });
    assert.equal((await returnJob(services, leaseOf(paused), why))!.state, 'paused');
    const cancelled = await createTestJob(services, team, 'running');
    await cancelJob(services, team.id, cancelled.id, { keyId: 'key-test' });
    assert.equal((await returnJob(services, leaseOf(cancelled), why))!.state, 'cancelled');
  });

  test('goes to another worker while one lives that can run it', async () => {
    await addWorker('broken');
    await addWorker('healthy');
    const job = await createTestJob(services, team, 'running');
    await returnJob(services, leaseOf(job), why);
    const lease = await dispatch(services, job.id);
    assert.equal(await take(lease, 'broken'), null);
    const listed = async (id: string) =>
      (await staleDispatched(services, { seconds: -1, worker: { id, capabilities: null } })).length;
    assert.deepEqual([await listed('broken'), await listed('healthy')], [0, 1]);
    await services.sql.query(
      "UPDATE workers SET heartbeat_at = now() - interval '2 min' WHERE id = 'healthy'",
    );
    assert.equal((await take(lease, 'broken'))!.avoidWorker, null);
  });

  test('waits a minute for others that are busy, not longer', async () => {
    await addWorker('broken');
    await addWorker('busy');
    const job = await createTestJob(services, team, 'running');
    await returnJob(services, leaseOf(job), why);
    const lease = await dispatch(services, job.id);
    assert.equal(await take(lease, 'broken'), null);
    await services.sql.query("UPDATE jobs SET dispatched_at = now() - interval '61 seconds' WHERE id = $1", [
      job.id,
    ]);
    assert.equal((await take(lease, 'broken'))!.state, 'running');
  });
});

describe('what a job requires', () => {
  test('is fixed by its first claim and kept', async () => {
    const job = await createTestJob(services, team, 'dispatched');
    const running = (await take(leaseOf(job), 'w1', gpu))!;
    assert.deepEqual(running.requirements, {
      precision: 'bf16',
      threads: 16,
      device: 'gpu',
      kernels: 'stock',
    });
    await returnJob(services, leaseOf(running), { workerId: 'w1', reason });
    const lease = await dispatch(services, job.id);
    assert.equal(await take(lease, 'w2', cpu(64)), null);
    assert.equal(await take(lease, 'w3', { ...gpu, precisions: ['fp32'] }), null);
    assert.equal(await take(lease, 'w4', { ...gpu, threads: 8 }), null);
    const again = (await take(lease, 'w5', { ...gpu, threads: 32, precisions: ['fp32', 'bf16'] }))!;
    assert.deepEqual(again.requirements, running.requirements);
  });

  test('the kernels that its first worker takes first are those of every attempt', async () => {
    const job = await createTestJob(services, team, 'dispatched');
    const wide = { ...cpu(2), kernels: ['avx512', 'avx2', 'stock'] };
    const running = (await take(leaseOf(job), 'w1', { ...wide, kernels: ['avx2', 'avx512', 'stock'] }))!;
    assert.equal(running.requirements!.kernels, 'avx2');
    await returnJob(services, leaseOf(running), { workerId: 'w1', reason });
    const lease = await dispatch(services, job.id);
    assert.equal(await take(lease, 'w2', cpu(2)), null, 'of a version without kernels');
    assert.equal(await take(lease, 'w3', { ...wide, kernels: ['avx512', 'stock'] }), null);
    assert.equal((await take(lease, 'w4', wide))!.requirements!.kernels, 'avx2');
  });

  test('a job that started in a version without kernels continues with stock operations', async () => {
    const job = await createTestJob(services, team, 'dispatched');
    const before = JSON.stringify({ device: 'cpu', threads: 2, precision: 'fp32' });
    await services.sql.query('UPDATE jobs SET requirements = $1 WHERE id = $2', [before, job.id]);
    const none = { ...cpu(2), kernels: ['avx2'] };
    assert.equal(await take(leaseOf(job), 'w1', none), null);
    const taken = (await take(leaseOf(job), 'w2', { ...none, kernels: ['avx2', 'stock'] }))!;
    assert.deepEqual(taken.requirements, JSON.parse(before));
  });

  test('a requested precision is required from the start', async () => {
    const job = await createTestJob(services, team, 'dispatched');
    await services.sql.query(
      `UPDATE jobs SET resolved_training = resolved_training || '{"precision": "bf16"}' WHERE id = $1`,
      [job.id],
    );
    assert.equal(await take(leaseOf(job), 'w1', cpu(4)), null);
    assert.equal((await take(leaseOf(job), 'w2', gpu))!.requirements!.precision, 'bf16');
  });

  test('nothing is dispatched that no living worker can run, and what waits for few holds back no other', async () => {
    const jobs = [];
    for (let i = 0; i < 4; i++) jobs.push(await createTestJob(services, team, 'queued'));
    const requirements = JSON.stringify({ precision: 'bf16', threads: 16, device: 'gpu' });
    await services.sql.query('UPDATE jobs SET requirements = $1', [requirements]);
    await addWorker('cpu', cpu(4), 2);
    assert.deepEqual(await dispatchJobs(services), []);
    await addWorker('gpu', gpu);
    const free = await createTestJob(services, team, 'queued');
    const dispatched = (await dispatchJobs(services)).map(({ id }) => id);
    assert.deepEqual(dispatched, [jobs[0]!.id, jobs[1]!.id, free.id]);
    assert.equal(await take({ id: free.id, epoch: free.leaseEpoch + 1 }, 'cpu', cpu(4)).then(Boolean), true);
  });
});

test('a quarantined worker gets nothing', async () => {
  await addWorker('w1');
  await quarantineWorker(services, 'w1', 'TensorFlow does not load.');
  const job = await createTestJob(services, team, 'queued');
  assert.deepEqual(await dispatchJobs(services), []);
  const lease = await dispatch(services, job.id);
  assert.equal(await take(lease, 'w1'), null);
  assert.ok(await take(lease, 'w2'));
});

// A worker that loses its connection to Postgres while other workers keep theirs, through a proxy, with a child that only waits.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cancelJob, type Job, readMetrics } from '@graft/service/jobs';
import { openServices, type Services } from '@graft/service/services';
import { type CuttableProxy, openCuttableProxy } from '@graft/service/testing';
import { startJob } from '../testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../testing/worker-bench.ts';
import { TrainerProcess } from './trainer-process.ts';

let bench: WorkerBench;
let proxy: CuttableProxy;
/** Services of the worker that loses its connection. */
let services: Services;
let trainer: TrainerProcess;

before(async () => {
  bench = await openWorkerBench();
  proxy = await openCuttableProxy(bench.services.databaseUrl);
  const env = { ...bench.services.env, databaseUrl: proxy.url };
  services = await openServices({ role: 'worker', env, log: bench.services.log });
});
after(async () => {
  await services.close();
  await proxy.close();
  await bench.close();
});
afterEach(() => trainer.close());

async function start(job: Job, leaseSeconds: number) {
  trainer = new TrainerProcess({
    entry: new URL('../testing/timed-trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: services.log,
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
  });
  return await startJob(services, job, trainer, { leaseSeconds });
}

const atStep = (job: Job, step: number) => bench.until(job.id, (row) => (row.progress?.step ?? 0) >= step);

async function untilGone(pid: number): Promise<void> {
  for (let i = 0; i < 300; i++) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(100);
  }
  assert.fail('the trainer computes on after the end of its lease');
}

describe('a worker that cannot reach Postgres', () => {
  it('continues when it comes back within the lease, and loses no step', async () => {
    const job = await bench.queueTimedJob({ steps: 60, stepMilliseconds: 50, checkpointSteps: 10 });
    const { outcome } = await start(job, 60);
    await atStep(job, 5);
    await proxy.cut();
    await sleep(1500);
    await proxy.restore();
    assert.equal(await outcome, 'succeeded');
    const { data: metrics } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 1000 });
    assert.equal(metrics.length, 60);
    const row = await bench.job(job.id);
    assert.equal(row.attempts, 1);
  });

  it('continues when Postgres accepts no writes for a while', async () => {
    const job = await bench.queueTimedJob({ steps: 60, stepMilliseconds: 50, checkpointSteps: 10 });
    const { outcome } = await start(job, 60);
    await atStep(job, 5);
    const { sql } = bench.services;
    const name = new URL(bench.services.databaseUrl).pathname.slice(1);
    const admin = await sql.connect();
    await admin.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    await sleep(1500);
    await admin.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    admin.release(true);
    assert.equal(await outcome, 'succeeded');
    assert.equal((await readMetrics(bench.services, bench.teamId, job.id, { limit: 1000 })).data.length, 60);
    assert.equal((await bench.job(job.id)).attempts, 1);
  });

  it('stops training by the end of the lease, and gives the job back uncharged when it can', async () => {
    const job = await bench.queueTimedJob({ steps: 2000, stepMilliseconds: 20, checkpointSteps: 5 });
    const { outcome } = await start(job, 3);
    await atStep(job, 5);
    const pid = trainer.pid!;
    await proxy.cut();
    await untilGone(pid);
    await proxy.restore();
    assert.equal(await outcome, 'requeued');
    const row = await bench.job(job.id);
    assert.deepEqual([row.state, row.attempts, row.attemptsSinceCheckpoint], ['queued', 0, 0]);
    assert.ok(row.lastCheckpointStep! >= 5);
    const messages = await bench.messages(job.id);
    assert.ok(
      messages.some((message) => /lease/.test(message)),
      messages.join('\n'),
    );
    await cancelJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
  });
});

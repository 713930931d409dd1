// Broken workers beside a healthy one: no job may be affected. Real services and processes; the trainers only wait.
import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { startTimedWorker, type WorkerChange } from '../testing/start-timed-worker.ts';
import { openWorkerBench, type WorkerBench } from '../testing/worker-bench.ts';
import type { Worker } from '../worker.ts';

let bench: WorkerBench;
let folder: string;
const workers: Worker[] = [];

before(async () => {
  // Long leases, so that they do not expire on a busy machine.
  bench = await openWorkerBench({ GRAFT_LEASE_SECONDS: '60', GRAFT_HEARTBEAT_SECONDS: '5' });
  folder = await mkdtemp(join(tmpdir(), 'graft-broken-'));
});
after(async () => {
  await bench.close();
  await rm(folder, { recursive: true });
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
});

async function start(change: WorkerChange = {}): Promise<Worker> {
  const worker = await startTimedWorker(bench, change);
  workers.push(worker);
  return worker;
}

const row = async ({ id }: Worker) => await bench.services.db.worker.findUniqueOrThrow({ where: { id } });

async function untilRow(worker: Worker, holds: (reason: string | null) => boolean): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (holds((await row(worker)).quarantineReason)) return;
    await sleep(100);
  }
  assert.fail(`quarantine: ${(await row(worker)).quarantineReason}`);
}

async function trainHere(worker: Worker, count: number): Promise<void> {
  const jobs = await Promise.all(Array.from({ length: count }, () => bench.queueTimedJob({ steps: 2 })));
  for (const { id } of jobs) await bench.untilState(id, 'succeeded', 120);
  const attempts = await bench.services.db.jobAttempt.findMany({
    where: { jobId: { in: jobs.map(({ id }) => id) }, kind: 'training' },
  });
  assert.deepEqual(
    attempts.map(({ workerId, outcome }) => [workerId, outcome]),
    jobs.map(() => [worker.id, 'succeeded']),
  );
}

describe('broken workers beside a healthy one', { timeout: 300_000 }, () => {
  it('take no job, say why, and none of the jobs notices', async () => {
    // The healthy worker must be the first to open the shared folder.
    const healthy = await start();
    await untilRow(healthy, (reason) => reason === null);
    await writeFile(join(folder, 'a-file'), '');
    await writeFile(join(folder, 'trainer.mjs'), 'process.exit(3)');
    const broken: [WorkerChange, RegExp][] = [
      [{ dataDir: join(folder, 'own') }, /is not the data folder of this installation/],
      [{ dataDir: join(folder, 'a-file', 'below') }, /ENOTDIR/],
      [{ minFreeBytes: 2 ** 60 }, /GRAFT_MIN_FREE_BYTES/],
      [{ trainer: pathToFileURL(join(folder, 'trainer.mjs')) }, /TensorFlow does not compute/],
    ];
    // One at a time: each worker has separate connections, and Postgres allows a hundred.
    for (const [change, reason] of broken) {
      const worker = await start(change);
      await trainHere(healthy, 2);
      await untilRow(worker, (found) => reason.test(found ?? ''));
      assert.ok((await row(worker)).quarantinedAt);
      await workers.pop()!.stop();
    }
  });

  it('come back by themselves once they are fixed', async () => {
    const right = await start();
    await untilRow(right, (reason) => reason === null);
    await workers.pop()!.stop();
    const link = join(folder, 'mount');
    await symlink(join(folder, 'own'), link);
    const worker = await start({ dataDir: link });
    await untilRow(worker, (reason) => /not the data folder/.test(reason ?? ''));
    await symlink(bench.services.env.dataDir, `${link}.new`);
    await rename(`${link}.new`, link);
    await trainHere(worker, 1);
    assert.equal((await row(worker)).quarantineReason, null);
  });
});

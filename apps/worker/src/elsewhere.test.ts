// Jobs that this worker cannot run but another can, and which files of other attempts it may remove. The trainers only wait.
import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, before, test } from 'node:test';
import { cancelJob, type Job } from '@graft/service/jobs';
import { startJob } from './testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from './testing/worker-bench.ts';
import { TrainerProcess } from './training/trainer-process.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;

before(async () => {
  // Nothing listens on this port.
  bench = await openWorkerBench({ GRAFT_HUB_ALLOW: 'org/*', HF_ENDPOINT: 'http://127.0.0.1:2' });
  trainer = new TrainerProcess({
    entry: new URL('./testing/timed-trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 20_000,
    idleMilliseconds: 20_000,
  });
});
after(async () => {
  await trainer.close();
  await bench.close();
});

async function assertReturned(job: Job, why: RegExp): Promise<void> {
  const { outcome } = await startJob(bench.services, job, trainer, { leaseSeconds: 60 });
  assert.equal(await outcome, 'requeued');
  const { attempts, environmentFaults, avoidWorker } = await bench.job(job.id);
  assert.deepEqual([attempts, environmentFaults, avoidWorker], [0, 1, 'worker-test']);
  const { rows } = await bench.services.sql.query<{ waits: boolean }>(
    "SELECT run_after > now() + interval '20 s' AS waits FROM jobs WHERE id = $1",
    [job.id],
  );
  assert.ok(rows[0]!.waits, 'it does not come back at once, for ever');
  assert.match((await bench.messages(job.id)).at(-1)!, why);
  await cancelJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
}

test('a job whose base model only another worker has goes there, uncharged', async () => {
  const job = await bench.queueJob('{"steps":2}', { model: 'of-another' });
  await assertReturned(job, /of-another is not available on this worker/);
});

test('an unreachable Hub is not an unreachable Postgres: the job waits some minutes', async () => {
  const job = await bench.queueJob('{"steps":2}', { model: 'org/model' });
  await assertReturned(job, /org\/model cannot be opened/);
});

test('what earlier attempts have staged is removed, and not what a later one is making', async () => {
  const job = await bench.queueTimedJob({});
  const own = await bench.services.artifacts.stage(job.id, job.leaseEpoch + 1);
  const [earlier, later] = await Promise.all(
    [0, 1000].map((epoch) => bench.services.artifacts.stage(job.id, epoch)),
  );
  await mkdir(`${earlier}/x`);
  await mkdir(`${later}/x`);
  const { outcome } = await startJob(bench.services, job, trainer, { leaseSeconds: 60 });
  assert.equal(await outcome, 'succeeded');
  assert.deepEqual(await readdir(later!), ['x']);
  assert.ok(!(await readdir(dirname(own))).includes(earlier!.slice(dirname(own).length + 1)));
});

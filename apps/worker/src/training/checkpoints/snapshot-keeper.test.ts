// Adapters of intermediate steps, on real Postgres and a real store, with a child process that waits instead of computing.
import assert from 'node:assert/strict';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dataFolder } from '@graft/service/data-folder';
import { cancelJob, type Job, listJobCheckpoints } from '@graft/service/jobs';
import { timedTrainer } from '../../testing/killed-trainer.ts';
import { type StartedJob, startJob } from '../../testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../../testing/worker-bench.ts';
import { TrainerProcess } from '../trainer-process.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;
before(async () => {
  bench = await openWorkerBench();
});
after(() => bench.close());
afterEach(() => trainer?.close());

async function start(job: Job): Promise<StartedJob> {
  await trainer?.close();
  trainer = new TrainerProcess({
    entry: timedTrainer,
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 20_000,
    idleMilliseconds: 20_000,
  });
  return await startJob(bench.services, job, trainer);
}

async function kept({ id }: Job) {
  const { data } = await listJobCheckpoints(bench.services, bench.teamId, id, { limit: 100 });
  return data.flatMap(({ adapter }) => adapter ?? []);
}

test('the newest and the best are kept, each with its own files', async () => {
  const job = await bench.queueTimedJob({ steps: 12, snapshotSteps: 2, bestStep: 4 });
  assert.equal(await (await start(job)).outcome, 'succeeded');
  const adapters = await kept(job);
  assert.deepEqual(
    adapters.map(({ step, isBest }) => [step, isBest]),
    [
      [12, false],
      [10, false],
      [8, false],
      [4, true],
    ],
  );
  const { fineTunedModel } = await bench.job(job.id);
  for (const { step, artifact, modelName, metrics, lineage } of adapters) {
    assert.equal(modelName, `${fineTunedModel}:ckpt-step-${step}`);
    const folder = await bench.services.artifacts.localFolder(artifact);
    assert.equal(JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8')).step, step);
    assert.deepEqual([metrics.trainLoss, metrics.trainedTokens], [2 / step, step * 100]);
    assert.equal(lineage.job_id, job.id);
  }
});

test('an attempt that does again what one before it did publishes nothing twice', async () => {
  const job = await bench.queueTimedJob({
    steps: 12,
    checkpointSteps: 6,
    snapshotSteps: 2,
    atStep: { step: 5, does: 'exit' },
  });
  assert.equal(await (await start(job)).outcome, 'requeued');
  const first = await kept(job);
  assert.deepEqual(
    first.map(({ step }) => step),
    [4, 2],
  );
  await bench.services.sql.query('UPDATE jobs SET run_after = now() WHERE id = $1', [job.id]);
  assert.equal(await (await start(job)).outcome, 'requeued');
  assert.deepEqual(
    (await kept(job)).map(({ id, artifact }) => [id, artifact]),
    first.map(({ id, artifact }) => [id, artifact]),
  );
  await cancelJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
  assert.equal((await kept(job)).length, 2, 'a job that was cancelled keeps them');
});

test('a store that takes none costs the checkpoints, and not the job', async () => {
  const job = await bench.queueTimedJob({ steps: 200, stepMilliseconds: 20, snapshotSteps: 2 });
  const { artifacts } = dataFolder(bench.services.env.dataDir);
  const { outcome } = await start(job);
  await bench.until(job.id, (row) => (row.progress?.step ?? 0) >= 10);
  await rename(artifacts, `${artifacts}-away`);
  await writeFile(artifacts, 'no folder');
  const lost = /^The adapter of step (\d+) could not be stored: this checkpoint cannot be called\.$/;
  const lostMessages = async () => (await bench.messages(job.id)).filter((message) => lost.test(message));
  for (const end = performance.now() + 30_000; (await lostMessages()).length === 0; await sleep(20))
    assert.ok(performance.now() < end, 'reported');
  await rm(artifacts);
  await rename(`${artifacts}-away`, artifacts);
  assert.equal(await outcome, 'succeeded');
  const steps = (await kept(job)).map(({ step }) => step);
  assert.deepEqual(steps, [200, 198, 196], 'those after it are kept');
  const { attempts } = await bench.job(job.id);
  assert.equal(attempts, 1);
});

test('who has lost the lease publishes none', async () => {
  const job = await bench.queueTimedJob({ steps: 2000, stepMilliseconds: 20, snapshotSteps: 5 });
  const { outcome } = await start(job);
  await bench.until(job.id, (row) => (row.progress?.step ?? 0) >= 10);
  await bench.services.sql.query('UPDATE jobs SET lease_epoch = lease_epoch + 1 WHERE id = $1', [job.id]);
  const before = await kept(job);
  assert.ok(before.length > 0);
  assert.equal(await outcome, 'fenced');
  await sleep(500);
  assert.deepEqual(await kept(job), before);
  await bench.services.sql.query("UPDATE jobs SET state = 'queued' WHERE id = $1", [job.id]);
  await cancelJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
});

// Two machines without a shared folder, on a real S3 server: one continues what the other has trained and stored.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadServiceEnv } from '@graft/service/environment';
import type { Job } from '@graft/service/jobs';
import { openServices, type Services } from '@graft/service/services';
import { startJob } from '../../apps/worker/src/testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../../apps/worker/src/testing/worker-bench.ts';
import { TrainerProcess } from '../../apps/worker/src/training/trainer-process.ts';
import { openHaltingProxy } from '../../packages/service/src/storage/testing/halting-proxy.ts';
import { openS3Server } from '../../packages/service/src/storage/testing/s3-server.ts';
import { listCheckpoints } from '../../packages/service/src/testing/list-checkpoints.ts';

let server: Awaited<ReturnType<typeof openS3Server>>;
let proxy: Awaited<ReturnType<typeof openHaltingProxy>>;
let bench: WorkerBench;
let other: Services;
let otherData: string;
const trainers: TrainerProcess[] = [];

before(async () => {
  server = await openS3Server();
  proxy = await openHaltingProxy(server.endpoint);
  const place = { ARTIFACTS_URL: `s3://${server.bucket}/graft` };
  bench = await openWorkerBench({ ...place, GRAFT_S3_ENDPOINT: proxy.endpoint });
  otherData = await mkdtemp(join(tmpdir(), 'graft-other-'));
  const env = loadServiceEnv({
    ...place,
    GRAFT_S3_ENDPOINT: server.endpoint,
    DATABASE_URL: bench.services.databaseUrl,
    GRAFT_BASE_MODELS: bench.services.env.baseModels,
    GRAFT_DATA_DIR: otherData,
    GRAFT_LEASE_SECONDS: '5',
    GRAFT_HEARTBEAT_SECONDS: '1',
  });
  other = await openServices({ role: 'worker', env, log: bench.services.log });
});
after(async () => {
  for (const trainer of trainers) await trainer.close();
  await other?.close();
  await bench?.close();
  await proxy?.close();
  await server?.close();
  await rm(otherData, { recursive: true, force: true });
});

function newTrainer(): TrainerProcess {
  const trainer = new TrainerProcess({
    entry: new URL('../../apps/worker/src/testing/timed-trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
  });
  trainers.push(trainer);
  return trainer;
}

const recorded = async (job: Job) => await listCheckpoints(bench.services, bench.teamId, job.id);

test('another machine resumes from a checkpoint of the first, and publishes for both', async () => {
  const job = await bench.queueTimedJob({ steps: 400, stepMilliseconds: 20, checkpointSteps: 5 });
  const first = await startJob(bench.services, job, newTrainer());
  await bench.until(job.id, (row) => (row.lastCheckpointStep ?? 0) >= 10, 60);
  first.stop.abort();
  assert.equal(await first.outcome, 'requeued');
  const newest = (await bench.job(job.id)).lastCheckpointStep!;

  // The first machine is lost.
  await rm(join(bench.services.env.dataDir, 'checkpoints'), { recursive: true });
  const second = await startJob(other, await bench.job(job.id), newTrainer());
  assert.equal(await second.outcome, 'succeeded');
  const messages = await bench.messages(job.id);
  assert.ok(
    messages.some((message) => message.includes(`step ${newest}`) && /[Rr]esum|go(es|ing) on/.test(message)),
    messages.join('\n'),
  );
  const { rows } = await other.sql.query('SELECT artifact FROM adapter_versions WHERE job_id = $1', [job.id]);
  const folder = await bench.services.artifacts.localFolder(rows[0].artifact);
  assert.deepEqual(await readdir(folder), ['adapter_config.json']);
  // The checkpoints of a finished job are removed from the machine and from the bucket.
  const left: string[] = [];
  for await (const id of other.checkpoints.jobs()) left.push(id);
  assert.deepEqual(left, []);
  assert.ok(!existsSync(join(otherData, 'checkpoints', job.id)));
});

test('while the storage is unavailable training continues without checkpoints, and reports it', async () => {
  const job = await bench.queueTimedJob({ steps: 300, stepMilliseconds: 20, checkpointSteps: 20 });
  const { outcome } = await startJob(bench.services, job, newTrainer(), { leaseSeconds: 60 });
  await bench.until(job.id, (row) => (row.lastCheckpointStep ?? 0) >= 20, 60);
  proxy.behave('cut');
  const end = performance.now() + 60_000;
  while (!(await bench.messages(job.id)).some((message) => message.includes('could not be stored'))) {
    assert.ok(performance.now() < end, (await bench.messages(job.id)).join('\n'));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  proxy.behave('well');
  assert.equal(await outcome, 'succeeded');
  const { rows } = await bench.services.sql.query(
    "SELECT count(*)::int AS n, max(step) AS last FROM job_metrics WHERE job_id = $1 AND kind = 'train'",
    [job.id],
  );
  assert.deepEqual(rows[0], { n: 300, last: 300 });
  assert.ok((await recorded(job)).length > 0);
});

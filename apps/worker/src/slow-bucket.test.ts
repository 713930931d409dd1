import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { dataFolder } from '@graft/service/data-folder';
import { openServices, type Services } from '@graft/service/services';
import { startJob } from './testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from './testing/worker-bench.ts';
import { TrainerProcess } from './training/trainer-process.ts';

let bench: WorkerBench;
let withBucket: Services;
const sockets = new Set<Socket>();
/** Accepts all data and never answers. */
const silent = createServer((socket) => {
  sockets.add(socket.on('error', () => {}));
  socket.resume();
});

before(async () => {
  bench = await openWorkerBench();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_REGION: 'us-east-1' });
  const { env, secrets, databaseUrl, log } = bench.services;
  const s3Endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const bucket = { artifactsUrl: 's3://bucket', s3Endpoint };
  const { internalToken } = secrets;
  withBucket = await openServices({
    role: 'worker',
    log,
    env: { ...env, ...bucket, internalToken, databaseUrl },
  });
});
after(async () => {
  for (const socket of sockets) socket.destroy();
  silent.close();
  await withBucket.close();
  await bench.close();
});

function startTrainer(t: TestContext): TrainerProcess {
  const trainer = new TrainerProcess({
    entry: new URL('./testing/timed-trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
  });
  t.after(() => trainer.close());
  return trainer;
}

test('a worker that stops gives its job back in time, though the bucket does not take the checkpoint', {
  timeout: 100_000,
}, async (t) => {
  const trainer = startTrainer(t);
  const job = await bench.queueTimedJob({ steps: 2000, checkpointSteps: 1000 });
  const services = { ...bench.services, checkpoints: withBucket.checkpoints };
  const { outcome, stop, hurry } = await startJob(services, job, trainer, { leaseSeconds: 60 });
  await bench.until(job.id, (row) => (row.progress?.step ?? 0) >= 2);
  stop.abort();
  // Wait until the upload of its checkpoint has started.
  while (sockets.size === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  hurry.abort();
  assert.equal(await outcome, 'requeued');
  const { attempts, lastCheckpointStep } = await bench.job(job.id);
  assert.deepEqual([attempts, lastCheckpointStep], [0, null]);
  assert.match(
    (await bench.messages(job.id)).join('\n'),
    /could not be stored; the job continues without it/,
  );
  assert.ok(
    [...sockets].some((socket) => !socket.destroyed),
    'it did not wait for the bucket',
  );
});

test('training and its checkpoints do not wait for an adapter that the bucket does not take, nor does a worker that stops', {
  timeout: 100_000,
}, async (t) => {
  const before = sockets.size;
  const job = await bench.queueTimedJob({
    steps: 2000,
    // Slow enough that a busy machine records and removes snapshots as fast as they are written.
    stepMilliseconds: 200,
    checkpointSteps: 10,
    snapshotSteps: 2,
  });
  const services = { ...bench.services, artifacts: withBucket.artifacts };
  const started = await startJob(services, job, startTrainer(t), { leaseSeconds: 60 });
  const { claimed, outcome, stop, hurry } = started;
  // Otherwise a failure leaves the job running, and this process with it.
  t.after(() => {
    stop.abort();
    hurry.abort();
  });
  while (sockets.size === before && !t.signal.aborted)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const { lastCheckpointStep: at } = await bench.job(job.id);
  await bench.until(job.id, (row) => (row.lastCheckpointStep ?? 0) > (at ?? 0) + 10);
  const { staged } = dataFolder(bench.services.env.dataDir);
  const snapshots = join(staged(job.id, claimed.leaseEpoch, claimed.leaseToken), 'snapshots');
  // One snapshot is being uploaded, three wait, and one is being written or removed. Removing takes longer on a busy machine.
  while ((await readdir(snapshots)).length > 6 && !t.signal.aborted)
    await new Promise((resolve) => setTimeout(resolve, 50));
  stop.abort();
  hurry.abort();
  assert.equal(await outcome, 'requeued');
  const { attempts, progress } = await bench.job(job.id);
  assert.deepEqual([attempts, progress !== null], [0, true]);
});

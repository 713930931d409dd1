// Complete workers in separate processes, training a tiny but real model.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cancelJob, type Job, readMetrics, type WorkerCapabilities } from '@graft/service/jobs';
import { type ForkedWorker, forkWorker } from './testing/forked-worker.ts';
import { openWorkerBench, type WorkerBench } from './testing/worker-bench.ts';

let bench: WorkerBench;
const workers: ForkedWorker[] = [];

before(async () => {
  bench = await openWorkerBench();
});
after(() => bench.close());
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    worker.kill('SIGKILL');
    await worker.exited;
  }
});

async function startWorker(env: NodeJS.ProcessEnv = {}): Promise<ForkedWorker> {
  const worker = await forkWorker(bench.services, env);
  workers.push(worker);
  return worker;
}

const sentence = (i: number) => `Sentence ${i} teaches the model that ${i} and ${i + 1} follow each other.`;
const lines = (count: number) =>
  Array.from({ length: count }, (_, i) => JSON.stringify({ text: sentence(i) })).join('\n');

/** Queues a job that trains for about ten seconds, or more while other tests run. */
async function queueLongJob(): Promise<Job> {
  const training = { n_epochs: 30, batch_size: 8, checkpoint_steps: 20, precision: 'fp32' } as const;
  return await bench.queueJob(lines(128), { training });
}

const atStep = (job: Job, step: number) =>
  bench.until(job.id, (row) => row.state === 'running' && (row.progress?.step ?? 0) >= step, 90);

async function assertWhole(job: Job): Promise<void> {
  assert.equal(await bench.versions(job.id), 1);
  const { data: metrics } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 1000 });
  const steps = metrics.filter(({ kind }) => kind === 'train').map(({ step }) => step);
  assert.deepEqual(
    steps,
    Array.from({ length: 480 }, (_, i) => i + 1),
  );
  assert.ok(metrics.at(-1)!.loss < metrics[0]!.loss, 'the loss fell');
  assert.deepEqual(await readdir(join(bench.services.env.dataDir, 'staging')), []);
}

/** Waits until a process is gone. One that has ended may stay in the process table for a second, until its new parent reaps it. */
async function untilGone(pid: number): Promise<void> {
  for (let i = 0; i < 50; i++) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(100);
  }
  assert.fail('the trainer outlived its worker');
}

describe('worker', { timeout: 600_000 }, () => {
  it('trains a real adapter, and the next job in the same warm trainer', async () => {
    const worker = await startWorker();
    const job = await bench.queueJob(lines(16), {
      training: { n_epochs: 2, batch_size: 4 },
      suffix: 'first',
    });
    const row = await bench.untilState(job.id, 'succeeded', 90);
    assert.match(row.fineTunedModel!, /^ft:tiny:acme:first:\w+$/);
    assert.equal(row.progress?.totalSteps, 8);
    const { rows } = await bench.services.sql.query('SELECT files FROM adapter_versions WHERE job_id = $1', [
      job.id,
    ]);
    const files = rows[0].files.map(({ path }: { path: string }) => path);
    assert.deepEqual(files, ['README.md', 'adapter_config.json', 'adapter_model.safetensors']);

    // The worker reported this before it claimed the job.
    const { capabilities } = await bench.services.db.worker.findFirstOrThrow();
    const { precisions, memoryBytes, flops, kernels } = capabilities as unknown as WorkerCapabilities;
    assert.ok(memoryBytes! > 0);
    assert.ok(kernels!.length > 1 && kernels!.at(-1) === 'stock', 'this machine has kernels');
    const { requirements } = await bench.services.db.job.findFirstOrThrow({ where: { id: job.id } });
    assert.equal((requirements as { kernels?: string }).kernels, kernels![0]);
    assert.ok(flops![precisions[0]]! > 1e8, JSON.stringify(flops));

    const pid = worker.trainerPid();
    assert.ok(pid);
    const next = await bench.queueJob(lines(16), {
      training: { n_epochs: 2, batch_size: 4 },
      suffix: 'first',
    });
    await bench.untilState(next.id, 'succeeded', 90);
    assert.equal(worker.trainerPid(), pid);
    const versions = await bench.services.sql.query(
      'SELECT number FROM adapter_versions WHERE job_id = ANY($1) ORDER BY number',
      [[job.id, next.id]],
    );
    assert.deepEqual(
      versions.rows.map(({ number }) => number),
      [1, 2],
    );
  });

  it('resumes from the checkpoint after kill -9 of the trainer', async () => {
    const worker = await startWorker();
    const job = await queueLongJob();
    await atStep(job, 40);
    process.kill(worker.trainerPid()!, 'SIGKILL');
    await bench.untilState(job.id, 'succeeded', 180);
    const messages = await bench.messages(job.id);
    assert.ok(messages.some((message) => /resumed from the checkpoint at step \d+0$/.test(message)));
    await assertWhole(job);
  });

  it('resumes in a new worker after kill -9 of the whole worker', async () => {
    const lost = await startWorker();
    const job = await queueLongJob();
    await atStep(job, 40);
    const trainer = lost.trainerPid()!;
    lost.kill('SIGKILL');
    await lost.exited;
    await untilGone(trainer);

    await startWorker();
    const row = await bench.untilState(job.id, 'succeeded', 180);
    assert.equal(row.attempts, 2);
    const messages = await bench.messages(job.id);
    assert.ok(messages.some((message) => /resumed from the checkpoint at step \d+0$/.test(message)));
    await assertWhole(job);
  });

  it('releases its job with a checkpoint on SIGTERM, and another worker ends it', async () => {
    const first = await startWorker();
    const job = await queueLongJob();
    await atStep(job, 30);
    first.kill('SIGTERM');
    assert.equal(await first.exited, 0);
    const released = await bench.job(job.id);
    assert.equal(released.state, 'queued');
    assert.equal(released.attempts, 0);
    assert.ok(released.lastCheckpointStep! >= 30);
    const { rows } = await bench.services.sql.query('SELECT id FROM workers WHERE pid = $1', [first.pid]);
    assert.deepEqual(rows, [], 'it is no longer registered');

    await startWorker();
    const row = await bench.untilState(job.id, 'succeeded', 180);
    assert.equal(row.attempts, 1);
    await assertWhole(job);
  });

  it('stops in order when its supervisor is gone', async () => {
    const worker = await startWorker();
    worker.disconnect();
    assert.equal(await worker.exited, 0);
  });

  it('cancels a job in training within two seconds and leaves no staging files', async () => {
    await startWorker();
    const job = await queueLongJob();
    await atStep(job, 5);
    const asked = performance.now();
    await cancelJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
    await bench.untilState(job.id, 'cancelled', 5);
    const seconds = (performance.now() - asked) / 1000;
    assert.ok(seconds < 2, `took ${seconds} s`);
    await sleep(300);
    const { dataDir } = bench.services.env;
    assert.deepEqual(await readdir(join(dataDir, 'staging')), []);
    assert.ok(!(await readdir(join(dataDir, 'checkpoints'))).includes(job.id));
    assert.equal(await bench.versions(job.id), 0);
  });

  it('fails a job whose data cannot be trained on, at once', async () => {
    await startWorker();
    // Completions are not split into parts, unlike texts.
    const answer = (completion: string) => JSON.stringify({ prompt: 'How long?', completion });
    const data = [...Array.from({ length: 3 }, () => answer('Short.')), answer('far too long '.repeat(50))];
    const job = await bench.queueJob(data.join('\n'), { training: { max_seq_length: 128 } });
    const row = await bench.untilState(job.id, 'failed', 90);
    assert.equal(row.error?.fault, 'user');
    assert.equal(row.error?.code, 'example_too_long');
    assert.equal(row.error?.param, 'training_file');
    assert.match(row.error!.message, /4/);
    assert.equal(row.attempts, 1);
    assert.deepEqual(await readdir(join(bench.services.env.dataDir, 'staging')), []);
  });

  it('starts and cancels jobs while the queue is down', async () => {
    // Nothing listens on port 1.
    await startWorker({ REDIS_URL: 'redis://127.0.0.1:1/0' });
    const job = await queueLongJob();
    await atStep(job, 2);
    const asked = performance.now();
    await cancelJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
    await bench.untilState(job.id, 'cancelled', 5);
    assert.ok(performance.now() - asked < 2000);
  });
});

// A worker without Postgres but with storage continues training and writes checkpoints without rows, while its successor resumes
// from the last recorded one. Real training, on real Postgres through a proxy.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, readMetrics } from '@graft/service/jobs';
import { openServices, type Services } from '@graft/service/services';
import { type CuttableProxy, keepJobRows, openCuttableProxy } from '@graft/service/testing';
import { type StartedJob, startJob } from '../testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../testing/worker-bench.ts';
import { TrainerProcess } from './trainer-process.ts';

let bench: WorkerBench;
let proxy: CuttableProxy;
/** Services of the worker that is cut off. */
let services: Services;
let lost: StartedJob | undefined;
const trainers: TrainerProcess[] = [];
const [steps, checkpointSteps] = [240, 10];
// The usual lease of five seconds may expire on a busy machine.
const lease = { leaseSeconds: 300 };
/** The result of every job here when undisturbed. */
let expected: { series: Awaited<ReturnType<typeof seriesOf>>; digests: string[] };

before(async () => {
  bench = await openWorkerBench();
  proxy = await openCuttableProxy(bench.services.databaseUrl);
  const env = { ...bench.services.env, databaseUrl: proxy.url };
  services = await openServices({ role: 'worker', env, log: bench.services.log });
  const control = await queueJob();
  assert.equal(await (await startJob(bench.services, control, newTrainer(), lease)).outcome, 'succeeded');
  expected = { series: await seriesOf(control), digests: await digestOf(control) };
  assert.equal(expected.series.filter(({ kind }) => kind === 'train').length, steps);
});
after(async () => {
  for (const trainer of trainers) await trainer.close();
  // Without Postgres the worker retries for ever, also if the test failed before Postgres was restored.
  await proxy.restore();
  await lost?.outcome;
  await services.close();
  await proxy.close();
  await bench.close();
});

function newTrainer(): TrainerProcess {
  const trainer = new TrainerProcess({
    entry: new URL('./trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 120_000,
    idleMilliseconds: 120_000,
  });
  trainers.push(trainer);
  return trainer;
}

const lines = Array.from({ length: 40 }, (_, i) =>
  JSON.stringify({ text: `Sentence ${i} says that ${i} and ${i + 1} follow each other.` }),
).join('\n');

async function queueJob(): Promise<Job> {
  return await bench.queueJob(lines, {
    peft: { peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'], lora_dropout: 0.1 },
    training: {
      n_epochs: 50,
      max_steps: steps,
      batch_size: 4,
      precision: 'fp32',
      validation_split: 0.2,
      eval_steps: 15,
      checkpoint_steps: checkpointSteps,
    },
  });
}

/** The metrics without those that depend on the clock and the process. */
async function seriesOf(job: Job) {
  const { data: metrics } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 10_000 });
  return metrics.map(({ createdAt: _, metrics: { tokens_per_second, memory_bytes, ...same }, ...row }) => ({
    ...row,
    metrics: same,
  }));
}

async function digestOf(job: Job): Promise<string[]> {
  const { rows } = await bench.services.sql.query<{ digest: string }>(
    'SELECT digest FROM adapter_versions WHERE job_id = $1',
    [job.id],
  );
  return rows.map(({ digest }) => digest);
}

it('leaves no hole in the losses when it is cut off, and its successor ends as if nothing had happened', async () => {
  const successor = newTrainer();
  const job = await queueJob();
  lost = await startJob(services, job, newTrainer(), lease);
  await bench.until(job.id, (row) => (row.lastCheckpointStep ?? 0) >= 2 * checkpointSteps, 90);
  await proxy.cut();
  const recorded = (await bench.job(job.id)).lastCheckpointStep!;
  const folder = join(bench.services.env.dataDir, 'checkpoints', job.id);
  const written = async () => {
    const names = await readdir(folder, { recursive: true });
    return Math.max(...names.map((name) => Number(/\/step-(\d+)$/.exec(name)?.[1] ?? 0)));
  };
  while ((await written()) < recorded + 3 * checkpointSteps) await sleep(20);

  // Simulates the sweeper after the lease has expired; the worker is still training.
  await bench.services.sql.query(
    "UPDATE jobs SET state = 'queued', lease_epoch = lease_epoch + 1, lease_until = NULL WHERE id = $1",
    [job.id],
  );
  const { outcome } = await startJob(bench.services, job, successor, lease);
  assert.equal(await outcome, 'succeeded', (await bench.messages(job.id)).join('\n'));
  await proxy.restore();
  assert.equal(await lost.outcome, 'fenced');

  const messages = await bench.messages(job.id);
  const from = messages.flatMap(
    (message) => /resumed from the checkpoint at step (\d+)$/.exec(message)?.[1] ?? [],
  );
  assert.deepEqual(from.map(Number), [recorded], messages.join('\n'));
  assert.deepEqual(await seriesOf(job), expected.series, 'every step has its loss, bit for bit');
  assert.deepEqual(await digestOf(job), expected.digests, 'one version, of the same files');
});

it('is fenced when a failover lost its claim and another worker claimed the job under the same epoch', async () => {
  const job = await queueJob();
  const standby = await keepJobRows(bench.services, job.id);
  lost = await startJob(services, job, newTrainer(), lease);
  await bench.until(job.id, (row) => (row.lastCheckpointStep ?? 0) >= 2 * checkpointSteps, 90);
  await proxy.cut();
  await standby.failOver();
  const { outcome, claimed } = await startJob(bench.services, job, newTrainer(), lease);
  assert.equal(claimed.leaseEpoch, lost.claimed.leaseEpoch);
  // Both workers train and write checkpoints of the same steps into one data folder.
  await bench.until(job.id, (row) => (row.lastCheckpointStep ?? 0) >= checkpointSteps, 90);
  await proxy.restore();
  assert.equal(await lost.outcome, 'fenced');
  assert.equal(await outcome, 'succeeded', (await bench.messages(job.id)).join('\n'));
  assert.deepEqual(await seriesOf(job), expected.series);
  assert.deepEqual(await digestOf(job), expected.digests);
});

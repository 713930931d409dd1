// Leases, interruptions and settlements on real Postgres with a real child process that only waits instead of computing
// (testing/timed-trainer.ts). Real training is in train-tasks.test.ts and worker.test.ts.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { cancelJob, type Job, pauseJob, readMetrics, resumeJob } from '@graft/service/jobs';
import { killedBefore, timedTrainer } from '../testing/killed-trainer.ts';
import { type StartedJob, startJob } from '../testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../testing/worker-bench.ts';
import { TrainerProcess } from './trainer-process.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;
const by = { keyId: 'key-test' };
const long = { steps: 2000, stepMilliseconds: 20, checkpointSteps: 5 };

before(async () => {
  bench = await openWorkerBench();
});
after(() => bench.close());
afterEach(() => trainer?.close());

/** Runs a queued job in a new trainer. */
async function start(
  job: Job,
  options: { entry?: URL; leaseSeconds?: number; stallMilliseconds?: number; pollMilliseconds?: number } = {},
): Promise<StartedJob> {
  const { entry = timedTrainer, stallMilliseconds = 20_000, ...times } = options;
  await trainer?.close();
  trainer = new TrainerProcess({
    entry,
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds,
    idleMilliseconds: 20_000,
  });
  return await startJob(bench.services, job, trainer, times);
}

const atStep = (job: Job, step: number) => bench.until(job.id, (row) => (row.progress?.step ?? 0) >= step);

async function leftovers(job: Job): Promise<string[]> {
  const names = async (kind: string) =>
    (await readdir(join(bench.services.env.dataDir, kind)).catch(() => [])).map((name) => `${kind}/${name}`);
  return [...(await names('staging')), ...(await names('checkpoints'))].filter((name) =>
    name.endsWith(job.id),
  );
}

describe('runTrainingJob', () => {
  it('starts a trainer again at once that was killed before it began; a second time the job goes elsewhere', async () => {
    const job = await bench.queueTimedJob({});
    const first = await (await start(job, { entry: await killedBefore(1) })).outcome;
    assert.equal(first, 'succeeded');
    assert.equal((await bench.job(job.id)).attempts, 1);

    const verified = await bench.queueTimedJob({});
    const entry = await killedBefore(1, { spared: 1 });
    assert.equal(await (await start(verified, { entry })).outcome, 'succeeded', 'also the one that verifies');
    assert.equal((await bench.job(verified.id)).attempts, 1);

    const other = await bench.queueTimedJob({});
    assert.equal(await (await start(other, { entry: await killedBefore(2) })).outcome, 'requeued');
    const row = await bench.job(other.id);
    assert.deepEqual([row.attempts, row.environmentFaults, row.avoidWorker], [0, 1, 'worker-test']);
    await cancelJob(bench.services, bench.teamId, other.id, by);
  });

  it('publishes one version with lineage, and writes metrics, progress, checkpoints and events', async () => {
    const job = await bench.queueTimedJob({});
    const { outcome } = await start(job);
    assert.equal(await outcome, 'succeeded');

    const row = await bench.job(job.id);
    assert.equal(row.state, 'succeeded');
    assert.match(row.fineTunedModel!, /^ft:tiny:acme::\w+$/);
    assert.equal(row.progress?.step, 6);
    assert.equal(row.trainedTokens, 600);
    assert.equal(await bench.versions(job.id), 1);
    const { data: metrics } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 1000 });
    assert.deepEqual(
      metrics.map(({ step }) => step),
      [1, 2, 3, 4, 5, 6],
    );
    const messages = await bench.messages(job.id);
    assert.ok(messages.includes('Step 6/6: training loss 0.33'), messages.join('\n'));
    assert.ok(messages.includes('Training 10 of 1,000 parameters (1.0 %) for 6 steps'), messages.join('\n'));
    assert.match(messages.join('\n'), /^Checkpoint created at step 4: [\d.]+ kB in \d+\.\d s$/m);

    const { rows } = await bench.services.sql.query(
      'SELECT lineage, artifact, metrics FROM adapter_versions WHERE job_id = $1',
      [job.id],
    );
    const { lineage, artifact, metrics: ofVersion } = rows[0];
    assert.deepEqual(ofVersion.proof, {
      live_loss: 2 / 6,
      reloaded_loss: 2 / 6,
      base_loss: 2 / 6 + 1,
      examples: 8,
      measured_on: 'training',
    });
    assert.match(lineage.base_model.digest, /[0-9a-f]{64}/);
    assert.match(lineage.training_file.sha256, /^[0-9a-f]{64}$/);
    assert.equal(lineage.peft.r, 4);
    assert.notEqual(lineage.training.precision, 'auto');
    assert.deepEqual(await readdir(await bench.services.artifacts.localFolder(artifact)), [
      'adapter_config.json',
    ]);
    assert.deepEqual(await leftovers(job), []);
  });

  it('cancels within two seconds and leaves no file', async () => {
    const job = await bench.queueTimedJob({ ...long, stepMilliseconds: 1500 });
    const { outcome } = await start(job);
    await atStep(job, 1);
    const asked = performance.now();
    await cancelJob(bench.services, bench.teamId, job.id, by);
    assert.equal(await outcome, 'cancelled');
    const seconds = (performance.now() - asked) / 1000;
    assert.ok(seconds < 2, `took ${seconds} s`);
    assert.equal((await bench.job(job.id)).state, 'cancelled');
    assert.equal(await bench.versions(job.id), 0);
    assert.deepEqual(await leftovers(job), []);
  });

  it('pauses with a checkpoint, and resumes from it', async () => {
    const job = await bench.queueTimedJob({ steps: 60, stepMilliseconds: 100, checkpointSteps: 1000 });
    const first = await start(job);
    await atStep(job, 5);
    await pauseJob(bench.services, bench.teamId, job.id, by);
    assert.equal(await first.outcome, 'paused');
    const paused = await bench.job(job.id);
    assert.equal(paused.state, 'paused');
    assert.equal(paused.attempts, 0, 'a pause costs no attempt');
    assert.ok(paused.lastCheckpointStep! >= 5);

    await resumeJob(bench.services, bench.teamId, job.id, by);
    const second = await start(job);
    assert.equal(await second.outcome, 'succeeded');
    const messages = await bench.messages(job.id);
    const resumed = new RegExp(`resumed from the checkpoint at step ${paused.lastCheckpointStep}$`);
    assert.ok(messages.some((message) => resumed.test(message)));
  });

  it('releases with a checkpoint when the worker stops, and refunds the attempt', async () => {
    const job = await bench.queueTimedJob({ ...long, checkpointSteps: 1000 });
    const { outcome, stop } = await start(job);
    await atStep(job, 3);
    stop.abort();
    assert.equal(await outcome, 'requeued');
    const row = await bench.job(job.id);
    assert.equal(row.state, 'queued');
    assert.equal(row.attempts, 0);
    assert.ok(row.lastCheckpointStep! >= 3);
    await cancelJob(bench.services, bench.teamId, job.id, by);
  });

  it('is preempted for another team with a checkpoint, and says so', async () => {
    const job = await bench.queueTimedJob({ ...long, checkpointSteps: 1000 });
    const { outcome } = await start(job);
    await atStep(job, 3);
    await bench.services.db.job.update({ where: { id: job.id }, data: { preemptRequestedAt: new Date() } });
    assert.equal(await outcome, 'requeued');
    const row = await bench.job(job.id);
    assert.deepEqual([row.state, row.attempts, row.preemptRequestedAt], ['queued', 0, null]);
    assert.ok(row.lastCheckpointStep! >= 3);
    assert.ok((await bench.messages(job.id)).includes('Preempted at a checkpoint, job requeued'));
    await cancelJob(bench.services, bench.teamId, job.id, by);
  });

  it('releases without a checkpoint when there is no time for one, and the next attempt resumes from the last', async () => {
    const job = await bench.queueTimedJob({ ...long, atStep: { step: 8, does: 'hang' } });
    const { outcome, stop, hurry } = await start(job);
    await bench.until(job.id, (row) => row.lastCheckpointStep === 5);
    stop.abort();
    hurry.abort();
    assert.equal(await outcome, 'requeued');
    const { state, attempts, attemptsSinceCheckpoint, lastCheckpointStep } = await bench.job(job.id);
    assert.deepEqual([state, attempts, attemptsSinceCheckpoint, lastCheckpointStep], ['queued', 0, 0, 5]);
    const again = await start(job);
    const isResumed = async () =>
      /resumed from the checkpoint at step 5/.test(String(await bench.messages(job.id)));
    for (let i = 0; i < 600 && !(await isResumed()); i++) await sleep(100);
    assert.ok(await isResumed());
    again.hurry.abort();
    assert.equal(await again.outcome, 'requeued');
    await cancelJob(bench.services, bench.teamId, job.id, by);
  });

  it('kills the trainer and writes nothing once it is fenced', async () => {
    const job = await bench.queueTimedJob({ ...long, stepMilliseconds: 100 });
    const { outcome, claimed } = await start(job);
    await atStep(job, 2);
    const pid = trainer.pid!;
    // Simulates the sweeper, which takes a job from a worker that seems dead, and another worker's claim.
    await bench.services.sql.query('UPDATE jobs SET lease_epoch = lease_epoch + 1 WHERE id = $1', [job.id]);
    assert.equal(await outcome, 'fenced');
    assert.throws(() => process.kill(pid, 0), 'the trainer is gone');
    const before = await bench.job(job.id);
    await sleep(1500);
    const { progress, leaseUntil, leaseEpoch, state } = await bench.job(job.id);
    assert.deepEqual(progress, before.progress);
    assert.deepEqual(leaseUntil, before.leaseUntil);
    assert.equal(state, 'running');
    assert.equal(leaseEpoch, claimed.leaseEpoch + 1);
    assert.equal(await bench.versions(job.id), 0);
    assert.deepEqual(
      await leftovers(job),
      [`checkpoints/${job.id}`],
      'the checkpoints belong to the next attempt',
    );
    await bench.services.sql.query("UPDATE jobs SET state = 'queued' WHERE id = $1", [job.id]);
    await cancelJob(bench.services, bench.teamId, job.id, by);
  });

  it('publishes nothing when only the publication itself can notice the fence', async () => {
    const job = await bench.queueTimedJob({ steps: 2, finishMilliseconds: 2000 });
    const { outcome } = await start(job, { leaseSeconds: 60, pollMilliseconds: 60_000 });
    await bench.until(job.id, (row) => row.lastCheckpointStep === 2);
    await sleep(500);
    await bench.services.sql.query(
      "UPDATE jobs SET lease_epoch = lease_epoch + 1, state = 'queued', run_after = now() + interval '1 hour' WHERE id = $1",
      [job.id],
    );
    assert.equal(await outcome, 'fenced');
    assert.equal(await bench.versions(job.id), 0);
    assert.equal((await bench.job(job.id)).state, 'queued');
    await cancelJob(bench.services, bench.teamId, job.id, by);
  });

  it('lets a cancel win that comes after the last step', async () => {
    const job = await bench.queueTimedJob({ steps: 2, finishMilliseconds: 2000 });
    const { outcome } = await start(job, { leaseSeconds: 60, pollMilliseconds: 60_000 });
    await bench.until(job.id, (row) => row.lastCheckpointStep === 2);
    await cancelJob(bench.services, bench.teamId, job.id, by);
    assert.equal(await outcome, 'cancelled');
    assert.equal(await bench.versions(job.id), 0);
    assert.deepEqual(await leftovers(job), []);
  });

  it('fails a job with a user fault at once and never tries it again', async () => {
    const job = await bench.queueTimedJob({ atStep: { step: 3, does: 'user fault' } });
    const { outcome } = await start(job);
    assert.equal(await outcome, 'failed');
    const row = await bench.job(job.id);
    assert.equal(row.state, 'failed');
    assert.deepEqual(row.error, {
      code: 'example_too_long',
      message: 'line 3 has 5000 tokens',
      param: 'training_file',
      fault: 'user',
    });
    assert.deepEqual(await leftovers(job), []);
  });

  it('tries again after a crash, from the checkpoint, and fails after three without a new one', async () => {
    const job = await bench.queueTimedJob({ atStep: { step: 4, does: 'exit' } });
    for (const attempt of [1, 2, 3]) {
      await bench.until(job.id, (row) => row.runAfter.getTime() <= Date.now());
      const { outcome } = await start(job);
      assert.equal(await outcome, attempt === 3 ? 'failed' : 'requeued');
    }
    const row = await bench.job(job.id);
    assert.equal(row.error?.code, 'trainer_crashed');
    assert.equal(row.error?.fault, 'system');
    const { data: metrics } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 1000 });
    assert.deepEqual(
      metrics.map(({ step }) => step),
      [1, 2, 3],
    );
    assert.deepEqual(await leftovers(job), []);
  });

  it('kills a trainer that makes no step and tries again', async () => {
    const job = await bench.queueTimedJob({ atStep: { step: 2, does: 'hang' } });
    const { outcome } = await start(job, { stallMilliseconds: 2000 });
    assert.equal(await outcome, 'requeued');
    const messages = await bench.messages(job.id);
    assert.ok(messages.some((message) => message.includes('made no progress')));
    await cancelJob(bench.services, bench.teamId, job.id, by);
  });

  it('gives a job back uncharged when the machine is at fault', async () => {
    const job = await bench.queueTimedJob({ atStep: { step: 3, does: 'disk fault' } });
    const { outcome } = await start(job);
    assert.equal(await outcome, 'requeued');
    const row = await bench.job(job.id);
    assert.deepEqual([row.state, row.attempts, row.environmentFaults], ['queued', 0, 1]);
    assert.match((await bench.messages(job.id)).at(-1)!, /cannot read or write its files/);
    await cancelJob(bench.services, bench.teamId, job.id, by);
  });

  it('shows nobody what went wrong inside', async () => {
    const job = await bench.queueTimedJob({ atStep: { step: 2, does: 'unknown fault' } });
    const { outcome } = await start(job);
    assert.equal(await outcome, 'requeued');
    assert.doesNotMatch((await bench.messages(job.id)).join('\n'), /secret/);
    await cancelJob(bench.services, bench.teamId, job.id, by);
  });

  it('survives lost connections while it trains', async () => {
    const job = await bench.queueTimedJob({ steps: 60, stepMilliseconds: 50, checkpointSteps: 10 });
    const { outcome } = await start(job);
    await atStep(job, 5);
    for (let i = 0; i < 3; i++) {
      await bench.services.sql
        .query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid()`,
        )
        .catch(() => {});
      await sleep(300);
    }
    assert.equal(await outcome, 'succeeded');
    const { data: metrics } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 1000 });
    assert.equal(metrics.length, 60);
    assert.equal(await bench.versions(job.id), 1);
  });
});

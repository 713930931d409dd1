// A sweep with a real trainer: one job, one version, and bit-identical results however often it is killed.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { cancelJob, type Job, listTrials, pauseJob, readMetrics, resumeJob } from '@graft/service/jobs';
import { startJob } from './testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from './testing/worker-bench.ts';
import { TrainerProcess } from './training/trainer-process.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;

before(async () => {
  bench = await openWorkerBench();
  trainer = new TrainerProcess({
    entry: new URL('./training/trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 120_000,
    idleMilliseconds: 60_000,
  });
});
after(async () => {
  await trainer?.close();
  await bench?.close();
});

const lines = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    JSON.stringify({ text: `Sentence ${i % 5} is like the others.` }),
  ).join('\n');

/** Six trials of 48 steps: all train 24 steps to the first rung, two continue. */
const steps = 6 * 24 + 2 * 24;
const queue = () =>
  bench.queueJob(lines(24), {
    sweep: { learning_rate: [1e-5, 1e-3, 1e-2], r: [2, 4] },
    peft: { peft_type: 'LORA', target_modules: ['q_proj', 'v_proj'] },
    training: { n_epochs: 8, batch_size: 4, max_seq_length: 64, checkpoint_steps: 10, precision: 'fp32' },
    validation: lines(5),
  });

const atCheckpoint = (job: Job, step: number) =>
  bench.until(job.id, (row) => row.state === 'running' && (row.lastCheckpointStep ?? 0) >= step, 90);

/** The results that must not depend on how often the job was stopped. */
async function resultOf(job: Job) {
  const { services, teamId } = bench;
  const { data: metrics } = await readMetrics(services, teamId, job.id, { limit: 1000 });
  const version = await services.db.adapterVersion.findFirstOrThrow({ where: { jobId: job.id } });
  const files = version.files as { path: string; sha256: string }[];
  const ledger = await services.db.usageEntry.aggregate({
    where: { teamId, jobId: job.id, kind: 'trained_tokens' },
    _sum: { quantity: true },
  });
  const { trainedTokens, trainingEnd, peft, resolvedTraining } = await bench.job(job.id);
  return {
    files: files.map(({ path, sha256 }) => [path, sha256]),
    trials: await listTrials(services, teamId, job.id),
    metrics: metrics.map(
      ({ createdAt: _, metrics: { tokens_per_second, memory_bytes, ...same }, ...row }) => ({
        ...row,
        metrics: same,
      }),
    ),
    trainedTokens,
    trainingEnd,
    peft,
    resolvedTraining,
    entered: Number(ledger._sum.quantity),
  };
}

describe('a sweep', { timeout: 900_000 }, () => {
  let whole: Awaited<ReturnType<typeof resultOf>>;

  it('publishes its best trial as one version, and reports all trials', async () => {
    const job = await queue();
    assert.equal(await (await startJob(bench.services, job, trainer)).outcome, 'succeeded');
    whole = await resultOf(job);
    const row = await bench.job(job.id);
    assert.deepEqual([row.progress?.step, row.progress?.totalSteps], [steps, steps]);
    assert.equal(await bench.versions(job.id), 1);
    const won = whole.trials.filter(({ status }) => status === 'won');
    assert.equal(won.length, 1);
    assert.equal(won[0]?.step, 48);
    assert.deepEqual(
      whole.trials.flatMap(({ status, step }) => (status === 'stopped' ? [step] : [])).sort(),
      [24, 24, 24, 24, 48],
    );
    const losses = whole.trials.map(({ rungs }) => rungs[1]?.loss ?? Number.POSITIVE_INFINITY);
    assert.equal(losses.indexOf(Math.min(...losses)) + 1, won[0]?.trial);
    assert.deepEqual([row.peft, row.resolvedTraining], [won[0]?.peft, won[0]?.resolvedTraining]);

    const train = whole.metrics.filter(({ kind }) => kind === 'train');
    assert.deepEqual(
      train.map(({ step }) => step),
      Array.from({ length: steps }, (_, i) => i + 1),
    );
    assert.deepEqual(
      train.slice(23, 26).map(({ trial, trialStep }) => [trial, trialStep]),
      [
        [1, 24],
        [2, 1],
        [2, 2],
      ],
    );
    assert.equal(train.at(-1)?.trial, losses.findLastIndex((loss) => loss < Number.POSITIVE_INFINITY) + 1);
    // Each step of each trial counts once.
    assert.equal(row.trainedTokens, train.at(-1)?.tokens);
    assert.equal(whole.entered, row.trainedTokens);

    const { lineage, peft, metrics } = await bench.services.db.adapterVersion.findFirstOrThrow({
      where: { jobId: job.id },
    });
    assert.deepEqual(peft, won[0]?.peft);
    const { sweep } = lineage as unknown as { sweep: { trial: number; trials: { configuration: string }[] } };
    assert.equal(sweep.trial, won[0]?.trial);
    assert.equal(sweep.trials[1]?.configuration, 'LORA, r 2, learning rate 0.001');
    const { parameters } = metrics as { parameters: { trainable: number } };
    assert.equal(parameters.trainable, 224 * (won[0]!.peft as { r: number }).r);
    const messages = (await bench.messages(job.id)).join('\n');
    assert.match(messages, /^Trying 6 configurations in 192 steps$/m);
    assert.match(messages, /^Step 28\/192 \(trial 2, its step 4\): training loss/m);
    assert.match(messages, /^Trial \d is the best, validation loss [\d.]+ at its step 48$/m);
    assert.equal(messages.match(/^Trial \d stopped: others are better/gm)?.length, 5);
  });

  it('ends with the same bits after kills -9 of its trainer', async () => {
    const job = await queue();
    for (const step of [10, 60, 90, 130]) {
      const row = await bench.job(job.id);
      const { outcome } = await startJob(bench.services, row, trainer);
      // The trainer may have written checkpoints that were not noticed yet, so wait for a new one as a sign that it runs.
      await atCheckpoint(job, Math.max(step, (row.lastCheckpointStep ?? 0) + 1));
      process.kill(trainer.pid!, 'SIGKILL');
      assert.equal(await outcome, 'requeued');
      await bench.services.db.job.updateMany({ where: { id: job.id }, data: { runAfter: new Date(0) } });
    }
    assert.equal(
      await (await startJob(bench.services, await bench.job(job.id), trainer)).outcome,
      'succeeded',
    );
    assert.deepEqual(await resultOf(job), whole);
    const messages = (await bench.messages(job.id)).join('\n');
    assert.match(
      messages,
      /^Trying 6 configurations in 192 steps, resumed from the checkpoint at step \d+$/m,
    );
  });

  it('is paused with a checkpoint, resumes from it, and is cancelled as any job', async () => {
    const job = await queue();
    const first = await startJob(bench.services, job, trainer, { pollMilliseconds: 20 });
    await atCheckpoint(job, 10);
    await pauseJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
    assert.equal(await first.outcome, 'paused');
    const { lastCheckpointStep, attempts } = await bench.job(job.id);
    assert.ok(lastCheckpointStep! >= 10 && attempts === 0);
    await resumeJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
    const second = await startJob(bench.services, await bench.job(job.id), trainer, { pollMilliseconds: 20 });
    await atCheckpoint(job, lastCheckpointStep! + 1);
    await cancelJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
    assert.equal(await second.outcome, 'cancelled');
    assert.equal(await bench.versions(job.id), 0);
    const row = await bench.job(job.id);
    const { data } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 1000 });
    assert.equal(row.trainedTokens, data.findLast(({ kind }) => kind === 'train')?.tokens);
  });
});

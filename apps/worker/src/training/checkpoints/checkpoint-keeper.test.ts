// Which checkpoints of a job's attempts are kept and resumed. Real Postgres and files, with a child process that only waits.
import assert from 'node:assert/strict';
import { appendFile, readdir, rename, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, afterEach, before, it } from 'node:test';
import { leaseFolder } from '@graft/peft-core/checkpoints';
import { cancelJob, type Job, readMetrics } from '@graft/service/jobs';
import { listCheckpoints } from '@graft/service/testing';
import { timedTrainer } from '../../testing/killed-trainer.ts';
import { type StartedJob, startJob } from '../../testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../../testing/worker-bench.ts';
import { TrainerProcess } from '../trainer-process.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;
const by = { keyId: 'key-test' };

before(async () => {
  bench = await openWorkerBench();
});
after(() => bench.close());
afterEach(() => trainer?.close());

/** Runs a queued job in a new trainer. */
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

it('keeps two checkpoints of all its attempts, and continues from the one before when the newest is damaged', async () => {
  const job = await bench.queueTimedJob({
    steps: 60,
    checkpointSteps: 5,
    atStep: { step: 43, does: 'exit' },
  });
  const first = await start(job);
  assert.equal(await first.outcome, 'requeued');
  const folder = join(bench.services.env.dataDir, 'checkpoints', job.id);
  const own = join(folder, leaseFolder(first.claimed.leaseEpoch, first.claimed.leaseToken));
  assert.deepEqual(await readdir(own), ['step-00000035', 'step-00000040']);
  const recorded = await listCheckpoints(bench.services, bench.teamId, job.id);
  assert.deepEqual(
    recorded.map(({ step, removedAt }) => [step, removedAt === null]),
    [40, 35, 30, 25, 20, 15, 10, 5].map((step) => [step, step > 30]),
  );

  await appendFile(join(own, 'step-00000040', 'state.safetensors'), 'x');
  await bench.until(job.id, (row) => row.runAfter.getTime() <= Date.now());
  const second = await start(job);
  assert.equal(await second.outcome, 'requeued');
  const messages = await bench.messages(job.id);
  assert.ok(messages.includes('The checkpoint at step 40 is not continued: it is damaged'));
  assert.ok(messages.some((message) => message.endsWith('resumed from the checkpoint at step 35')));
  const left = (await readdir(folder, { recursive: true })).filter((name) =>
    basename(name).startsWith('step-'),
  );
  const [newer, older] = [second, first].map(({ claimed }) =>
    leaseFolder(claimed.leaseEpoch, claimed.leaseToken),
  );
  assert.deepEqual(
    left.filter((name) => !name.endsWith('.safetensors')).sort(),
    [join(older!, 'step-00000035'), join(newer!, 'step-00000040')],
    'the damaged one is gone, the good ones are not',
  );
  await cancelJob(bench.services, bench.teamId, job.id, by);
});

it('never takes a checkpoint that the storage fails to give for none', async () => {
  const job = await bench.queueTimedJob({
    steps: 60,
    checkpointSteps: 5,
    atStep: { step: 13, does: 'exit' },
  });
  const { claimed, outcome } = await start(job);
  assert.equal(await outcome, 'requeued');
  const folder = join(bench.services.env.dataDir, 'checkpoints', job.id);
  const own = join(folder, leaseFolder(claimed.leaseEpoch, claimed.leaseToken));
  const newest = join(own, 'step-00000010', 'manifest.json');
  // Reading this link causes an input/output error.
  await rename(newest, `${newest}.away`);
  await symlink('/proc/self/mem', newest);
  await bench.until(job.id, (row) => row.runAfter.getTime() <= Date.now());
  assert.equal(await (await start(job)).outcome, 'requeued');
  const messages = await bench.messages(job.id);
  assert.ok(
    messages.some((message) => /checkpoint of step 10 is there but cannot be read \(EIO\)/.test(message)),
    messages.join('\n'),
  );
  assert.ok(!messages.some((message) => /resumed from|not continued/.test(message)));
  const { data: metrics } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 10_000 });
  assert.equal(metrics.length, 12, 'no row was removed');
  await rename(`${newest}.away`, newest);
  await cancelJob(bench.services, bench.teamId, job.id, by);
});

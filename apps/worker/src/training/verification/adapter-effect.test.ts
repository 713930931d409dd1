// Publishing of a trained adapter, depending on its verification, with a trainer that only waits (testing/timed-trainer.ts).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { listEvents } from '@graft/service/jobs';
import { timedTrainer } from '../../testing/killed-trainer.ts';
import { startJob } from '../../testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../../testing/worker-bench.ts';
import { TrainerProcess } from '../trainer-process.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;
before(async () => {
  bench = await openWorkerBench();
  trainer = new TrainerProcess({
    entry: timedTrainer,
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 20_000,
    idleMilliseconds: 20_000,
  });
});
after(async () => {
  await trainer?.close();
  await bench.close();
});

test('publishes an adapter without measurable effect, with a warning', async () => {
  const job = await bench.queueTimedJob({ verification: 'no effect' });
  const { outcome } = await startJob(bench.services, job, trainer, {});
  assert.equal(await outcome, 'succeeded');
  assert.equal(await bench.versions(job.id), 1);
  const { data } = await listEvents(bench.services, bench.teamId, job.id, { limit: 100 });
  const warnings = data.filter(({ level }) => level === 'warn');
  assert.deepEqual(
    warnings.map(({ message }) => message.split(':')[0]),
    ['The adapter has no measurable effect'],
  );
});

test('fails a job that changed no weight, and publishes no version', async () => {
  const job = await bench.queueTimedJob({ verification: 'unmoved' });
  const { outcome } = await startJob(bench.services, job, trainer, {});
  assert.equal(await outcome, 'failed');
  const { error } = await bench.job(job.id);
  assert.equal(error?.code, 'adapter_without_effect');
  assert.equal(error?.param, 'training.learning_rate');
  assert.equal(await bench.versions(job.id), 0);
});

test('publishes nothing whose files, loaded again, are not the model that was trained', async () => {
  const job = await bench.queueTimedJob({ verification: 'other loss' });
  const { outcome } = await startJob(bench.services, job, trainer, {});
  assert.equal(await outcome, 'requeued');
  assert.equal(await bench.versions(job.id), 0);
});

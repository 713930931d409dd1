// A trainer's reports become rows, on real Postgres with a child process that only waits (testing/timed-trainer.ts).
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { listEvents, pauseJob, readMetrics, resumeJob } from '@graft/service/jobs';
import { timedTrainer } from '../testing/killed-trainer.ts';
import { startJob } from '../testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../testing/worker-bench.ts';
import { TrainerProcess } from './trainer-process.ts';

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
  await bench?.close();
});

it('says once what is shared and what the curve shows, though a later attempt reaches it again', async () => {
  const { services, teamId } = bench;
  const by = { keyId: 'key-test' };
  // Twenty-five steps of 300 ms are the time that the pause has to arrive in.
  const timing = { steps: 30, stepMilliseconds: 300, checkpointSteps: 1000, adviceStep: 2 };
  const { id } = await bench.queueTimedJob(timing);
  const job = await bench.job(id);
  const first = await startJob(services, job, trainer);
  await bench.until(id, (row) => (row.progress?.step ?? 0) >= 5);
  await pauseJob(services, teamId, id, by);
  assert.equal(await first.outcome, 'paused');
  await resumeJob(services, teamId, id, by);
  assert.equal(await (await startJob(services, job, trainer)).outcome, 'succeeded');

  const { data: steps } = await readMetrics(services, teamId, id, { limit: 100 });
  assert.equal(steps.length, 30);
  // A Node process uses tens of megabytes.
  for (const { step, metrics } of steps) {
    const { memory_bytes: bytes } = metrics;
    assert.ok(bytes! > 2e7 && bytes! < 2e9, `${bytes} bytes at step ${step}`);
  }

  const { data } = await listEvents(services, teamId, id, { limit: 1000 });
  assert.equal(data.filter(({ message }) => message.startsWith('Training 10 of')).length, 2, 'two attempts');
  const about = (what: string) =>
    data.filter((event) => event.data?.about === what).map(({ level, message }) => [level, message]);
  assert.deepEqual(about('shared_beginnings'), [['info', 'Nothing is shared.']]);
  assert.deepEqual(about('flat'), [
    ['warn', 'The training loss hardly moves. Try learning_rate 1e-3 instead of 1e-4.'],
  ]);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dispatchJobs, type WorkerCapabilities } from '@graft/service/jobs';
import { registerWorker } from '@graft/service/workers';
import { WorkerHealth } from '../health/worker-health.ts';
import { openWorkerBench, type WorkerBench } from '../testing/worker-bench.ts';
import { startLeaseLoop } from './lease-loop.ts';
import { TrainerProcess } from './trainer-process.ts';

let bench: WorkerBench;

before(async () => {
  bench = await openWorkerBench();
});
after(() => bench.close());

test('without a notification a job is claimed from its row, also behind those for other workers', async () => {
  const { services } = bench;
  const [first, second] = [await bench.queueTimedJob({}), await bench.queueTimedJob({})];
  const onGpu = { precision: 'fp32', threads: 1, device: 'gpu' };
  await services.db.job.update({ where: { id: first.id }, data: { requirements: onGpu } });
  const capabilities: WorkerCapabilities = { device: 'cpu', threads: 1, precisions: ['fp32', 'bf16'] };
  const common = { address: null, hostname: 'test', pid: process.pid, slots: 1 };
  await registerWorker(services, {
    ...common,
    id: 'of-gpu',
    capabilities: { ...capabilities, device: 'gpu' },
  });
  await registerWorker(services, { ...common, id: 'of-cpu', capabilities });
  // No job loops run here, so nothing notifies the worker.
  assert.equal((await dispatchJobs(services)).length, 2);

  const trainer = new TrainerProcess({
    entry: new URL('../testing/timed-trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: services.log,
    stallMilliseconds: 20_000,
    idleMilliseconds: 20_000,
  });
  const health = new WorkerHealth({
    services,
    workerId: 'of-cpu',
    cheap: [],
    thorough: [],
    proofSeconds: 60,
  });
  while (!health.acceptsJobs) await sleep(20);
  const loop = startLeaseLoop({
    services,
    workerId: 'of-cpu',
    capabilities: () => capabilities,
    health,
    trainers: [trainer],
    log: services.log,
    times: { leaseSeconds: 60, heartbeatSeconds: 5, pollMilliseconds: 500 },
    drainMilliseconds: 5000,
    code: { version: '0.0.0', commit: null },
  });
  try {
    await bench.untilState(second.id, 'succeeded', 60);
    assert.equal((await bench.job(first.id)).state, 'dispatched');
  } finally {
    await loop.stop();
    await health.stop();
    await trainer.close();
  }
});

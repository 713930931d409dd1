// A rolling update stops one worker after another during training: nothing may be lost, charged or done twice.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { readMetrics } from '@graft/service/jobs';
import { startTimedWorker } from './testing/start-timed-worker.ts';
import { openWorkerBench, type WorkerBench } from './testing/worker-bench.ts';
import type { Worker } from './worker.ts';

let bench: WorkerBench;
const workers: Worker[] = [];

before(async () => {
  // Long leases, so that they do not expire on a busy machine.
  bench = await openWorkerBench({ GRAFT_LEASE_SECONDS: '60', GRAFT_HEARTBEAT_SECONDS: '5' });
});
after(async () => {
  for (const worker of workers) await worker.stop();
  await bench.close();
});

it('loses nothing when every worker is replaced under load', { timeout: 300_000 }, async () => {
  const steps = 120;
  const timing = { steps, stepMilliseconds: 25, checkpointSteps: 10 };
  workers.push(await startTimedWorker(bench), await startTimedWorker(bench));
  const jobs = await Promise.all([1, 2, 3].map(() => bench.queueTimedJob(timing)));
  for (let restart = 0; restart < 2; restart++) {
    const leaving = workers[0]!;
    for (let i = 0; ; i++) {
      const rows = await Promise.all(jobs.map(({ id }) => bench.job(id)));
      const isAtWork = rows.some((row) => row.workerId === leaving.id && (row.progress?.step ?? 0) > 10);
      if (isAtWork || rows.every((row) => row.state === 'succeeded')) break;
      assert.ok(i < 1200, 'it got no job');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    workers.push(await startTimedWorker(bench));
    await leaving.stop();
    workers.shift();
  }
  for (const { id } of jobs) {
    const { attempts } = await bench.untilState(id, 'succeeded', 120);
    assert.equal(attempts, 1, 'a restart costs no attempt');
    assert.equal(await bench.versions(id), 1);
    const { data: metrics } = await readMetrics(bench.services, bench.teamId, id, { limit: 1000 });
    assert.deepEqual(
      metrics.filter(({ kind }) => kind === 'train').map(({ step }) => step),
      Array.from({ length: steps }, (_, i) => i + 1),
    );
  }
  const attempts = await bench.services.db.jobAttempt.findMany({ where: { kind: 'training' } });
  assert.deepEqual(new Set(attempts.map(({ outcome }) => outcome)), new Set(['succeeded', 'released']));
});

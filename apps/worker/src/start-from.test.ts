// A job that continues from an adapter version: from its row to the published version, with a real trainer on a tiny model.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { findVersionById, readLineage } from '@graft/service/adapters';
import { readMetrics } from '@graft/service/jobs';
import { startJob } from './testing/start-job.ts';
import { openWorkerBench, type QueueOptions, type WorkerBench } from './testing/worker-bench.ts';
import { TrainerProcess } from './training/trainer-process.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;

before(async () => {
  bench = await openWorkerBench();
  trainer = new TrainerProcess({
    entry: new URL('./training/trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 600_000,
    idleMilliseconds: 600_000,
  });
});
after(async () => {
  await trainer?.close();
  await bench?.close();
});

const lines = Array.from({ length: 8 }, (_, i) =>
  JSON.stringify({ text: `Sentence ${i % 2} is alike.` }),
).join('\n');
const training = { n_epochs: 6, batch_size: 4, learning_rate: 0.02 };

async function train(options: QueueOptions) {
  const job = await bench.queueJob(lines, { training, ...options });
  const { outcome } = await startJob(bench.services, job, trainer, { leaseSeconds: 60 });
  assert.equal(await outcome, 'succeeded', JSON.stringify((await bench.job(job.id)).error));
  const { data } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 1000 });
  const row = await bench.services.db.adapterVersion.findFirst({ where: { jobId: job.id } });
  return {
    job,
    version: (await findVersionById(bench.services, bench.teamId, row!.id))!,
    losses: data.map(({ loss }) => loss),
  };
}

it('starts where the adapter ended, and is its child in the lineage', async () => {
  const first = await train({ suffix: 'first' });
  const second = await train({ suffix: 'second', peft: { ...first.version.peft }, startFrom: first.version });
  assert.ok(first.losses.at(-1)! < first.losses[0]! - 0.1, 'the first job learns something');
  assert.ok(
    second.losses[0]! < first.losses[0]! - 0.1,
    `begins at ${second.losses[0]}, the first at ${first.losses[0]} and ended at ${first.losses.at(-1)}`,
  );
  assert.equal(second.version.parentId, first.version.id);
  const { id, modelName, digest } = first.version;
  assert.deepEqual(second.version.lineage.start_from, { id, model: modelName, digest });
  assert.equal(first.version.lineage.start_from, null);
  const { edges } = await readLineage(bench.services, bench.teamId, second.version.id);
  assert.ok(edges.some(({ from, to, kind }) => from === id && to === second.job.id && kind === 'starts'));
});

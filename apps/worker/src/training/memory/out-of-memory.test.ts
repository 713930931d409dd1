// A device that runs out of memory, on real Postgres with real child processes that only wait (testing/timed-trainer.ts).
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';
import type { Job } from '@graft/service/jobs';
import { timedTrainer } from '../../testing/killed-trainer.ts';
import { startJob } from '../../testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../../testing/worker-bench.ts';
import { TrainerProcess } from '../trainer-process.ts';
import { memoryAdvice, nextMicroBatch, withMicroBatch } from './smaller-batch.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;

before(async () => {
  bench = await openWorkerBench();
});
after(() => bench.close());
afterEach(() => trainer?.close());

async function run(job: Job): Promise<string> {
  await trainer?.close();
  trainer = new TrainerProcess({
    entry: timedTrainer,
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 20_000,
    idleMilliseconds: 20_000,
  });
  return await (await startJob(bench.services, job, trainer)).outcome;
}

const faultsOfWorker = async () =>
  (await bench.services.db.worker.findUniqueOrThrow({ where: { id: 'worker-test' } })).consecutiveFaults;

/** A job with a batch size of eight, on a device with memory for `maxAtOnce` examples at a time. */
const timing = (maxAtOnce: number) => ({ steps: 2, stepMilliseconds: 1, checkpointSteps: 2, maxAtOnce });
const queue = (maxAtOnce: number) =>
  bench.queueJob(JSON.stringify(timing(maxAtOnce)), { training: { batch_size: 8 } });

test('a job that does not fit is tried once with half as many examples at a time, and its worker is not to blame', async () => {
  const job = await queue(4);
  assert.equal(await run(job), 'requeued');
  const waiting = await bench.job(job.id);
  assert.deepEqual(
    [waiting.attempts, waiting.environmentFaults, waiting.requirements?.microBatch, waiting.avoidWorker],
    [0, 0, 4, null],
  );
  assert.ok(waiting.runAfter.getTime() <= Date.now() + 1000, 'it runs again at once');
  assert.equal(await run(waiting), 'succeeded');
  assert.equal(await faultsOfWorker(), 0);
  const messages = await bench.messages(job.id);
  assert.ok(
    messages.includes(
      'The worker ran out of memory with 8 examples at a time: trying once more with 4, the same batch in more passes, job queued',
    ),
    messages.join('\n'),
  );
  // The row has the requested batch size; the version has the one that was used.
  assert.equal((await bench.job(job.id)).resolvedTraining!.batch_size, 8);
  const { rows } = await bench.services.sql.query('SELECT lineage FROM adapter_versions WHERE job_id = $1', [
    job.id,
  ]);
  const { batch_size, gradient_accumulation_steps } = rows[0].lineage.training;
  assert.deepEqual([batch_size, gradient_accumulation_steps], [4, 2]);
});

test('one that does not fit then either is too large: its team learns what to change', async () => {
  const job = await queue(1);
  assert.equal(await run(job), 'requeued');
  assert.equal(await run(await bench.job(job.id)), 'failed');
  const { error, attempts } = await bench.job(job.id);
  assert.deepEqual(
    [error?.code, error?.fault, error?.param, attempts],
    ['out_of_memory', 'user', 'training', 1],
  );
  assert.match(
    error!.message,
    /^The worker ran out of memory with 4 examples of up to \d+ tokens at a time\. Try training\.batch_size below 4 with more gradient_accumulation_steps, training\.gradient_checkpointing true, training\.max_seq_length below \d+, training\.base_dtype nf4 or a smaller base model\.$/,
  );
  assert.equal(await faultsOfWorker(), 0);
});

test('what is tried next divides the batch, and is no more than the estimate found to fit', () => {
  const training = {
    batch_size: 12,
    gradient_accumulation_steps: 2,
    mini_batch_size: null,
  } as ResolvedTraining;
  const peft = { task_type: 'CAUSAL_LM' } as PeftConfig;
  const job = { resolvedTraining: training, requirements: null, estimate: null, peft, method: 'supervised' };
  const batches = (...sizes: number[]) =>
    ({
      changes: sizes.map((batch_size) => ({ training: { batch_size }, peakMemoryBytes: 1 })),
    }) as Job['estimate'];
  assert.equal(nextMicroBatch(job), 6);
  assert.equal(nextMicroBatch({ ...job, estimate: batches(5) }), 4);
  assert.equal(nextMicroBatch({ ...job, resolvedTraining: { ...training, batch_size: 7 } }), 1);
  assert.equal(nextMicroBatch({ ...job, resolvedTraining: { ...training, batch_size: 1 } }), null);
  const requirements = { precision: 'fp32', threads: 1, device: 'cpu', microBatch: 6 } as const;
  assert.equal(nextMicroBatch({ ...job, requirements }), null);

  // kto compares the completions of a batch, so that one is too few.
  const kto = { ...job, method: 'kto', resolvedTraining: { ...training, batch_size: 2 } };
  assert.equal(nextMicroBatch({ ...kto, resolvedTraining: training, estimate: batches(1) }), null);
  assert.equal(nextMicroBatch({ ...kto, resolvedTraining: { ...training, batch_size: 4 } }), 2);
  assert.equal(nextMicroBatch(kto), null);
  assert.doesNotMatch(memoryAdvice(kto, { kind: 'cpu' } as never), /batch_size/);
  assert.match(memoryAdvice({ ...kto, method: 'dpo' }, { kind: 'cpu' } as never), /batch_size below 2/);

  const alone = {};
  const { batch_size, gradient_accumulation_steps } = withMicroBatch(training, 4, alone);
  assert.deepEqual([batch_size, gradient_accumulation_steps], [4, 6]);
  assert.equal(withMicroBatch(training, undefined, alone), training);
  // For embedding pairs the batch size stays, because the other pairs of the batch are the negatives.
  const pairs = withMicroBatch(training, 4, { keepsBatch: true });
  assert.deepEqual([pairs.batch_size, pairs.gradient_accumulation_steps, pairs.mini_batch_size], [12, 2, 4]);

  const card = { kind: 'gpu', uuid: 'GPU-0', index: 0, name: 'NVIDIA L4', memoryMib: 23_034 } as const;
  assert.match(
    memoryAdvice({ ...job, resolvedTraining: { ...training, batch_size: 1, max_seq_length: 2048 } }, card),
    /^The GPU \(NVIDIA L4 with 22 GiB\) ran out of memory with one example of up to 2048 tokens at a time\. Try training\.gradient_checkpointing true,/,
  );
});

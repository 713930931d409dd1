// Of the engine's proof; the others are held in worker-health.test.ts and broken-worker.test.ts. The trainers only answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '@graft/service';
import { TrainerProcess } from '../training/trainer-process.ts';
import { engineProof } from './proofs.ts';

const computing = { precision: 'fp32', threads: 1 } as const;

function trainerFor(t: { after(end: () => Promise<void>): void }): TrainerProcess {
  const trainer = new TrainerProcess({
    entry: new URL('../testing/timed-trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: createLogger({ level: 'silent', name: 'test' }),
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
  });
  t.after(() => trainer.close());
  return trainer;
}

test('the engine is measured while it is proved, and not while this worker does other work', async (t) => {
  const trainers = [trainerFor(t), trainerFor(t)];
  const speeds: number[] = [];
  let isServing = false;
  const prove = engineProof(trainers, computing, {
    isServing: () => isServing,
    onSpeed: (flops) => speeds.push(flops),
  });
  await prove();
  assert.deepEqual(speeds, [1e9]);

  isServing = true;
  await prove();
  isServing = false;
  const work = trainers[1]!.prove(computing, new AbortController().signal);
  await prove();
  await work;
  assert.deepEqual(speeds, [1e9]);

  await prove();
  assert.deepEqual(speeds, [1e9, 1e9]);
});

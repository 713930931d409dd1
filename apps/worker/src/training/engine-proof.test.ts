// The engine check. The trainers only send messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '@graft/service/logger';
import { CardWatch } from '../cards/card-watch.ts';
import { engineProof } from './engine-proof.ts';
import { TrainerProcess } from './trainer-process.ts';

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
  const kernels: (readonly string[])[] = [];
  const prove = engineProof(trainers, computing, {
    cards: new CardWatch([]),
    isServing: () => isServing,
    onKernels: (sets) => kernels.push(sets),
    onSpeed: (flops) => speeds.push(flops),
  });
  await prove();
  assert.deepEqual(speeds, [1e9]);
  assert.deepEqual(kernels, [
    ['avx2', 'stock'],
    ['avx2', 'stock'],
  ]);

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

import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import { describe, it } from 'node:test';
import { memoryLimit } from '@graft/service/environment';
import { shareCards } from '../cards/share-card.ts';
import { trainerMemory, withoutReserve } from './trainer-memory.ts';

const GiB = 2 ** 30;
describe('trainerMemory', () => {
  const gpu = (memoryMib: number) =>
    ({ kind: 'gpu', uuid: 'GPU-0', index: 0, name: 'any', memoryMib }) as const;

  const reported = (...trainers: ReturnType<typeof gpu>[]) =>
    trainerMemory(trainers, shareCards({ trainers, generator: { kind: 'cpu' } }));

  it("is the smallest GPU's less CUDA's context, and unknown where one does not report it", () => {
    assert.equal(reported(gpu(81_559), gpu(24_576)), 23 * GiB);
    assert.equal(reported(gpu(81_559), gpu(0)), undefined);
    assert.equal(reported(), undefined);
  });

  it('is what a generator on the same card leaves', () => {
    const [card] = [gpu(24_576)];
    const shares = shareCards({ trainers: [card], generator: card }, 5 * GiB);
    assert.equal(trainerMemory([card], shares), 17 * GiB);
  });

  it('leaves something of the machine on a CPU', () => {
    const bytes = trainerMemory([{ kind: 'cpu' }], shareCards({ trainers: [], generator: { kind: 'cpu' } }))!;
    assert.ok(bytes > 0 && bytes < Math.min(totalmem(), memoryLimit()));
    assert.equal(withoutReserve(64 * GiB), 63 * GiB);
    assert.equal(withoutReserve(5 * GiB), 4.5 * GiB);
  });
});

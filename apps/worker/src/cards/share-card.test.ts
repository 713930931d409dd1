import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planSlots } from '../devices.ts';
import { contextBytes, shareCards } from './share-card.ts';

const GiB = 2 ** 30;
const gpu = (index: number, memoryMib = 81_559) =>
  ({ kind: 'gpu', uuid: `GPU-${index}`, index, name: 'any', memoryMib }) as const;

test('limits and contexts of the processes on a card add up to no more than it has', () => {
  for (const memoryMib of [4864, 16_384, 81_559])
    for (const serverBytes of [undefined, 2 * GiB, 500 * GiB]) {
      const card = gpu(0, memoryMib);
      const bytes = memoryMib * 2 ** 20;
      const shares = shareCards(planSlots([card]), serverBytes);
      const [trainer, generator] = [shares.trainer(card)!, shares.generator!];
      assert.ok(trainer > 0 && generator > 0);
      assert.ok(trainer + generator + contextBytes(bytes) + contextBytes(bytes * 0.9) <= bytes);
      assert.ok(trainer < shares.alone(card)! && shares.alone(card)! < bytes);
      if (serverBytes === 2 * GiB) assert.equal(generator, 2 * GiB);
    }
});

test('a generator with a separate GPU has all of its memory, and the trainers on the others have all of theirs', () => {
  const [first, second] = [gpu(0), gpu(1, 24_576)];
  const apart = shareCards(planSlots([first, second], 1));
  assert.deepEqual([apart.trainer(first), apart.generator], [apart.alone(first), apart.alone(second)]);
  assert.equal(apart.isShared(first), false);
  const both = shareCards(planSlots([first, second]));
  assert.equal(both.trainer(first), both.alone(first));
  assert.ok(both.isShared(second) && both.trainer(second)! < both.alone(second)!);
});

test('nothing is limited on a CPU, or on a GPU that does not report its memory', () => {
  for (const device of [{ kind: 'cpu' } as const, gpu(0, 0)]) {
    const shares = shareCards(planSlots([device]));
    assert.deepEqual(
      [shares.trainer(device), shares.alone(device), shares.generator],
      [undefined, undefined, undefined],
    );
  }
});

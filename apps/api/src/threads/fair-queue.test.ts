import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFairQueue, QueueFull } from './fair-queue.ts';

test('one at a time, turn by turn, and nobody fills it for others', async () => {
  const queue = createFairQueue({ perOwner: 3, all: 5 });
  const ran: string[] = [];
  let busy = 0;
  const work = (name: string) => async () => {
    assert.equal(busy++, 0);
    await new Promise(setImmediate);
    ran.push(name);
    busy--;
  };
  const greedy = ['a1', 'a2', 'a3', 'a4'].map((name) => queue.run('a', work(name)));
  await assert.rejects(queue.run('a', work('a5')), QueueFull);
  const others = [queue.run('b', work('b1')), queue.run('c', work('c1'))];
  await assert.rejects(queue.run('d', work('d1')), QueueFull, 'five wait');
  await Promise.all([...greedy, ...others]);
  assert.deepEqual(ran, ['a1', 'a2', 'b1', 'c1', 'a3', 'a4']);
});

test('work that fails rejects its own run alone', async () => {
  const queue = createFairQueue({ perOwner: 3, all: 5 });
  const failed = queue.run('a', async () => {
    throw new Error('broken');
  });
  const fine = queue.run('a', async () => 7);
  await assert.rejects(failed, /broken/);
  assert.equal(await fine, 7);
});

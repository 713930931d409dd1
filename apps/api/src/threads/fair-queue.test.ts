import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFairQueue, QueueFull } from './fair-queue.ts';

test('one at a time, turn by turn, and nobody fills it for others', async () => {
  const queue = createFairQueue({ running: { perOwner: 1, all: 1 }, waiting: { perOwner: 3, all: 5 } });
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
  const queue = createFairQueue({ running: { perOwner: 1, all: 1 }, waiting: { perOwner: 3, all: 5 } });
  const failed = queue.run('a', async () => {
    throw new Error('broken');
  });
  const fine = queue.run('a', async () => 7);
  await assert.rejects(failed, /broken/);
  assert.equal(await fine, 7);
});

test('several at a time, fewer per owner, and none is delayed by an owner at its limit', async () => {
  const queue = createFairQueue({ running: { perOwner: 2, all: 3 }, waiting: { perOwner: 9, all: 9 } });
  const started: string[] = [];
  const take = async (owner: string, name: string) => {
    const end = await queue.turn(owner);
    started.push(name);
    return end;
  };
  const greedy = ['a1', 'a2', 'a3', 'a4'].map((name) => take('a', name));
  const other = take('b', 'b1');
  const late = take('c', 'c1');
  await new Promise(setImmediate);
  assert.deepEqual(started, ['a1', 'a2', 'b1']);
  const end = await greedy[0]!;
  end();
  end();
  await new Promise(setImmediate);
  assert.deepEqual(started, ['a1', 'a2', 'b1', 'a3'], 'an end counts once');
  (await other)();
  await late;
  assert.deepEqual(started, ['a1', 'a2', 'b1', 'a3', 'c1']);
});

test('work that waits for too long is not started, and takes no turn from others', async () => {
  const queue = createFairQueue({ running: { perOwner: 1, all: 1 }, waiting: { perOwner: 9, all: 2 } });
  const end = await queue.turn('a', 20);
  const late = ['a', 'b'].map((owner) => queue.turn(owner, 20));
  await assert.rejects(queue.turn('c', 20), QueueFull, 'two wait');
  for (const each of late) await assert.rejects(each, { name: 'QueueFull', whose: 'all' });
  const patient = queue.run('b', async () => 'done');
  end();
  assert.equal(await patient, 'done');
  assert.equal(await queue.run('a', async () => 'done', 20), 'done');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairOrder } from './fair-order.ts';

const share = (team: string, weight = 1) => ({ team, weight });

test('teams take turns by weight, each in the order of its requests', () => {
  const order = new FairOrder<string>();
  for (let i = 0; i < 40; i++) order.push(share('a'), `a${i}`);
  for (let i = 0; i < 40; i++) order.push(share('b', 3), `b${i}`);
  const first = Array.from({ length: 40 }, () => order.shift()!);
  assert.equal(first.filter((item) => item.startsWith('b')).length, 30);
  assert.deepEqual(
    first.filter((item) => item.startsWith('a')),
    Array.from({ length: 10 }, (_, i) => `a${i}`),
  );
  assert.equal(order.length, 40);
});

test('a team that comes late is next, and has saved no turns', () => {
  const order = new FairOrder<string>();
  for (let i = 0; i < 9; i++) order.push(share('a'), `a${i}`);
  for (let i = 0; i < 5; i++) order.shift();
  order.push(share('b'), 'b0');
  order.push(share('b'), 'b1');
  assert.deepEqual([order.shift(), order.shift(), order.shift(), order.shift()], ['b0', 'a5', 'b1', 'a6']);
});

test('a long answer is paid for', () => {
  const order = new FairOrder<string>();
  order.begin(share('a'));
  order.charge(share('a'), 2);
  for (const item of ['a0', 'a1']) order.push(share('a'), item);
  for (const item of ['b0', 'b1', 'b2', 'b3']) order.push(share('b'), item);
  const shifted = Array.from({ length: 6 }, () => order.shift());
  assert.deepEqual(shifted, ['b0', 'b1', 'b2', 'a0', 'b3', 'a1']);
  assert.equal(order.shift(), undefined);
});

test('a full queue gives a place of the team with the most requests to one with fewer', () => {
  const order = new FairOrder<string>();
  for (const item of ['a0', 'a1', 'a2']) order.push(share('a'), item);
  assert.equal(order.surplusOver(share('a')), null);
  assert.deepEqual(order.surplusOver(share('b')), { team: 'a', item: 'a2' });
  order.remove('a', 'a2');
  order.push(share('b'), 'b0');
  assert.equal(order.surplusOver(share('b')), null, 'then both have two');
});

test('of the items that fit, that of the team whose turn it is', () => {
  const order = new FairOrder<string>();
  for (const item of ['a0', 'a1-x', 'a2']) order.push(share('a'), item);
  for (const item of ['b0', 'b1-x']) order.push(share('b'), item);
  const fits = (item: string) => item.endsWith('x');
  assert.deepEqual([order.next(fits), order.shift(fits)], ['a1-x', 'a1-x']);
  assert.deepEqual([order.shift(), order.shift(fits), order.shift(fits)], ['b0', 'b1-x', undefined]);
  assert.deepEqual([order.shift(), order.shift(), order.length], ['a0', 'a2', 0]);
});

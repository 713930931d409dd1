import assert from 'node:assert/strict';
import { test } from 'node:test';
import { permutation, philox4x32, RANDOM_USES, Random } from './random.ts';

test('Philox4x32-10 gives the known answers of Random123 (kat_vectors)', () => {
  const hex = (block: number[]) => block.map((word) => word.toString(16).padStart(8, '0')).join(' ');
  assert.equal(hex(philox4x32([0, 0, 0, 0], [0, 0])), '6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  const ones = 0xffffffff;
  assert.equal(
    hex(philox4x32([ones, ones, ones, ones], [ones, ones])),
    '408f276d 41c83b0e a20bc7c6 6d5451fd',
  );
  assert.equal(
    hex(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
});

test('the first uniforms of seed 0 and the first use are the words of block 0', () => {
  const random = new Random(0, 'startValues');
  assert.equal(random.uniform(), ((0x6627e8d5 >>> 5) * 2 ** 26 + (0xe169c58d >>> 6)) / 2 ** 53);
  assert.equal(random.uniform(), ((0xbc57ac4c >>> 5) * 2 ** 26 + (0x9b00dbd8 >>> 6)) / 2 ** 53);
});

const PARTS = [...Array(300).keys(), 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

test('no two uses, parts or seeds draw the same numbers; equal ones repeat', () => {
  const firstDraws = new Set<string>();
  const seeds = [0, 1, 42, 2 ** 31 - 1, 1 + 2 ** 32];
  for (const seed of seeds) {
    for (const use of RANDOM_USES) {
      for (const part of PARTS) {
        const random = new Random(seed, use, part);
        firstDraws.add([random.uniform(), random.uniform()].join());
      }
    }
  }
  assert.equal(firstDraws.size, seeds.length * RANDOM_USES.length * PARTS.length);
  assert.equal(new Random(7, 'order', 2).uniform(), new Random(7, 'order', 2).uniform());
});

test('uniform and normal have the right moments', () => {
  const random = new Random(42, 'test');
  const n = 100_000;
  const uniforms = Array.from({ length: n }, () => random.uniform());
  const normals = Array.from({ length: n }, () => random.normal());
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / n;
  const variance = (values: number[]) => mean(values.map((value) => value ** 2)) - mean(values) ** 2;
  // Six standard errors: 6/√(12n), 6/√n, 6·√(2/n).
  assert.ok(Math.abs(mean(uniforms) - 0.5) < 0.0055);
  assert.ok(Math.abs(variance(uniforms) - 1 / 12) < 0.002);
  assert.ok(Math.abs(mean(normals)) < 0.019);
  assert.ok(Math.abs(variance(normals) - 1) < 0.027);
  assert.ok(uniforms.every((value) => value >= 0 && value < 1));
});

test('a permutation holds each index once and depends on seed and part', () => {
  const shuffled = (n: number, seed: number, part: number) => permutation(n, new Random(seed, 'order', part));
  const order = shuffled(1000, 42, 0);
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...Array(1000).keys()],
  );
  assert.deepEqual(shuffled(1000, 42, 0), order);
  assert.notDeepEqual(shuffled(1000, 42, 1), order);
  assert.notDeepEqual(shuffled(1000, 43, 0), order);
  assert.deepEqual([...shuffled(1, 1, 1)], [0]);
  assert.equal(shuffled(0, 1, 1).length, 0);
});

test('every position of a permutation is equally likely', () => {
  const counts = new Array(6).fill(0);
  for (let part = 0; part < 6000; part++) counts[permutation(6, new Random(9, 'order', part))[0] as number]++;
  for (const count of counts) assert.ok(Math.abs(count - 1000) < 180, String(counts)); // six standard deviations
});

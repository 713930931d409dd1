import assert from 'node:assert/strict';
import { test } from 'node:test';
import { permutation, philox4x32, Random } from './random.ts';

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

test('the first uniforms of seed 0, stream 0 are the words of block 0', () => {
  const random = new Random(0, 0);
  assert.equal(random.uniform(), ((0x6627e8d5 >>> 5) * 2 ** 26 + (0xe169c58d >>> 6)) / 2 ** 53);
  assert.equal(random.uniform(), ((0xbc57ac4c >>> 5) * 2 ** 26 + (0x9b00dbd8 >>> 6)) / 2 ** 53);
});

test('streams, parts and seeds differ; equal ones repeat', () => {
  const first = (seed: number, stream: number, part = 0) => new Random(seed, stream, part).uniform();
  assert.equal(
    new Set([first(1, 0), first(2, 0), first(1, 1), first(1, 0, 1), first(1 + 2 ** 32, 0)]).size,
    5,
  );
  assert.equal(first(7, 3, 2), first(7, 3, 2));
});

test('uniform and normal have the right moments', () => {
  const random = new Random(42, 0);
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
  const order = permutation(1000, 42, 0);
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...Array(1000).keys()],
  );
  assert.deepEqual(permutation(1000, 42, 0), order);
  assert.notDeepEqual(permutation(1000, 42, 1), order);
  assert.notDeepEqual(permutation(1000, 43, 0), order);
  assert.deepEqual([...permutation(1, 1, 1)], [0]);
  assert.equal(permutation(0, 1, 1).length, 0);
});

test('every position of a permutation is equally likely', () => {
  const counts = new Array(6).fill(0);
  for (let part = 0; part < 6000; part++) counts[permutation(6, 9, part)[0] as number]++;
  for (const count of counts) assert.ok(Math.abs(count - 1000) < 180, String(counts)); // six standard deviations
});

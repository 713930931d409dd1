import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../random.ts';
import type { LoraTarget } from '../targets.ts';
import { quantisationErrorA, quantisationErrorB } from './start-values.ts';

const [out, width, rank, scale] = [6, 8, 2, 3];
const random = new Random(1, 'test');
/** Error with singular values 4, 2, 1 and zeros: sums of products of orthogonal vectors of ±1. */
const sizes = [4, 2, 1];
const left = [
  [1, 1, 1, 1, 0, 0],
  [1, -1, 1, -1, 0, 0],
  [0, 0, 0, 0, 1, 1],
];
const right = [
  [1, 1, 1, 1, 1, 1, 1, 1],
  [1, -1, 1, -1, 1, -1, 1, -1],
  [1, 1, -1, -1, 1, 1, -1, -1],
];
const unit = (row: number[]) => row.map((value) => value / Math.hypot(...row));
const sumOf = (count: number) =>
  Float32Array.from({ length: out * width }, (_, at) =>
    sizes
      .slice(0, count)
      .reduce(
        (sum, size, k) => sum + size * unit(left[k]!)[Math.floor(at / width)]! * unit(right[k]!)[at % width]!,
        0,
      ),
  );
const error = sumOf(sizes.length);
const original = Float32Array.from({ length: out * width }, () => random.normal());

for (const transposed of [false, true])
  test(`scale · B A is the largest part of the error${transposed ? ' of a transposed weight' : ''}`, () => {
    const stored = (values: Float32Array) =>
      transposed
        ? Float32Array.from(values, (_, at) => values[(at % out) * width + Math.floor(at / out)]!)
        : values;
    const target = { name: 'layer', out, width, rank, scale, transposed } as LoraTarget;
    const quantised = original.map((value, at) => value - error[at]!);
    const weights = [stored(original), stored(quantised)];
    const make = (init: ReturnType<typeof quantisationErrorA>, a: Float32Array) => {
      assert.ok(init.kind === 'base' && init.quantised);
      return init.make!(weights, () => a, random);
    };
    const a = make(quantisationErrorA(target), new Float32Array());
    const b = make(quantisationErrorB(target, 'a'), a);
    const expected = sumOf(rank);
    for (const [at, value] of expected.entries()) {
      let found = 0;
      for (let k = 0; k < rank; k++)
        found += scale * b[Math.floor(at / width) * rank + k]! * a[k * width + (at % width)]!;
      assert.ok(Math.abs(found - value) < 1e-5, `${at}: ${found} ${value}`);
    }
  });

test('a base without an error starts at zero, without numbers that are none', () => {
  const target = { name: 'layer', out, width, rank, scale, transposed: false } as LoraTarget;
  const init = quantisationErrorA(target);
  assert.ok(init.kind === 'base');
  const a = init.make!([original, original], () => new Float32Array(), random);
  const second = quantisationErrorB(target, 'a');
  assert.ok(second.kind === 'base');
  const b = second.make!([original, original], () => a, random);
  for (const value of [...a, ...b]) assert.equal(Math.abs(value), 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBfloat16, toBfloat16 } from './bfloat16.ts';

const bfloat16 = (...values: number[]) => [...toBfloat16(Float32Array.from(values))];

test('bfloat16 rounds to nearest, ties to even, and keeps infinities and NaN', () => {
  const values = Float32Array.of(1, 1.00390625, 1.01171875, -3.4e38, Infinity, NaN, 0);
  assert.deepEqual([...toBfloat16(values)], [0x3f80, 0x3f80, 0x3f82, 0xff80, 0x7f80, 0x7fc0, 0]);
});

test('bfloat16 rounds to nearest, ties to even', () => {
  assert.deepEqual(bfloat16(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8), [0x3f80, 0x3f80, 0x3f82]);
  assert.deepEqual(bfloat16(1 + 2 ** -8 + 2 ** -20, -1 - 2 ** -8), [0x3f81, 0xbf80]);
});

test('bfloat16 of what does not fit: infinity, and NaN stays NaN', () => {
  assert.deepEqual(bfloat16(3.4028235e38, Number.POSITIVE_INFINITY, -0), [0x7f80, 0x7f80, 0x8000]);
  const nan = new Float32Array(Uint32Array.of(0x7f800001).buffer);
  assert.equal(toBfloat16(nan)[0], 0x7fc0);
});

test('bfloat16 widens exactly', () => {
  assert.deepEqual([...fromBfloat16(Uint16Array.of(0x3f81, 0xc000, 0x0001))], [1 + 2 ** -7, -2, 2 ** -133]);
});

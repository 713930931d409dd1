import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, halfValues } from './float-conversions.ts';

const bfloat16 = (...values: number[]) => {
  const out = new Uint16Array(values.length);
  float32ToBfloat16(Float32Array.from(values), out);
  return [...out];
};

test('half floats: every exponent, subnormals, infinities and NaN', () => {
  const values = halfValues();
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const special = fraction === 0 ? sign * Infinity : Number.NaN;
    const normal = sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
    const expected = exponent === 31 ? special : exponent === 0 ? sign * fraction * 2 ** -24 : normal;
    assert.ok(Object.is(values[bits], expected), `bits ${bits}: ${values[bits]} instead of ${expected}`);
  }
});

test('NaN payloads survive', () => {
  const out = new Float32Array(1);
  float16ToFloat32(Uint16Array.of(0x7c01), out);
  assert.equal(new Uint32Array(out.buffer)[0], 0x7f802000);
});

test('bfloat16 rounds to nearest, ties to even', () => {
  assert.deepEqual(bfloat16(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8), [0x3f80, 0x3f80, 0x3f82]);
  assert.deepEqual(bfloat16(1 + 2 ** -8 + 2 ** -20, -1 - 2 ** -8), [0x3f81, 0xbf80]);
});

test('bfloat16 of what does not fit: infinity, and NaN stays NaN', () => {
  assert.deepEqual(bfloat16(3.4028235e38, Number.POSITIVE_INFINITY, -0), [0x7f80, 0x7f80, 0x8000]);
  const nan = new Float32Array(Uint32Array.of(0x7f800001).buffer);
  const out = new Uint16Array(1);
  float32ToBfloat16(nan, out);
  assert.equal(out[0], 0x7fc0);
});

test('bfloat16 widens exactly', () => {
  const out = new Float32Array(3);
  bfloat16ToFloat32(Uint16Array.of(0x3f81, 0xc000, 0x0001), out);
  assert.deepEqual([...out], [1 + 2 ** -7, -2, 2 ** -133]);
});

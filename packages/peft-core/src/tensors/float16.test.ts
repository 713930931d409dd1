import assert from 'node:assert/strict';
import { test } from 'node:test';
import { float16ToFloat32, halfValues } from './float16.ts';

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

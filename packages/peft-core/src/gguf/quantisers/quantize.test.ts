import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { dequantize } from '../dequantize.ts';
import { packedBytes, quantize, type WrittenType } from './quantize.ts';

// From scripts/golden/testdata/gguf_quantised.py: what ggml packs the values to, or how far its results are from them in each block.
const golden: { values: string; packed: Record<string, { bytes: string } | { rms: number[] }> } = JSON.parse(
  readFileSync(new URL('testdata/gguf-quantised.json', import.meta.url), 'utf8'),
);
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
const values = new Float32Array(bytesOf(golden.values).buffer);

function packed(type: WrittenType, from: Float32Array = values): Uint8Array {
  const out = new Uint8Array(packedBytes(type, from.length));
  quantize(type, from, out);
  return out;
}

function unpacked(type: WrittenType, from: Float32Array): Float32Array {
  const out = new Float32Array(from.length);
  dequantize(type, packed(type, from), out);
  return out;
}

const rms = (errors: Float32Array) =>
  Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length);

test('MXFP4: values that were MXFP4 stay the same, whatever their scale was', () => {
  const numbers = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
  for (const top of [1, 2, 3, 4, 5, 6, 7])
    for (const exponent of [-100, -9, 0, 90]) {
      const block = Float32Array.from({ length: 32 }, (_, i) => {
        const sign = i % 3 === 0 ? -1 : 1;
        return sign * numbers[i % (top + 1)]! * 2 ** exponent;
      });
      assert.deepEqual(
        unpacked('MXFP4', block),
        block.map((value) => value + 0),
      );
    }
});

for (const [name, expected] of Object.entries(golden.packed)) {
  const type = name as WrittenType;
  if ('bytes' in expected)
    test(`${type}: the bytes of ggml`, () => assert.deepEqual(packed(type), bytesOf(expected.bytes)));
  else
    test(`${type}: the error of ggml`, () => {
      const errors = unpacked(type, values).map((value, i) => value - values[i]!);
      const own = expected.rms.map((_, block) => rms(errors.subarray(block * 256, (block + 1) * 256)));
      for (const [from, to] of [
        [0, 8],
        [8, 16],
        [16, 18],
      ] as const) {
        const mean = (all: number[]) =>
          Math.sqrt(all.slice(from, to).reduce((sum, each) => sum + each * each, 0));
        assert.ok(
          mean(own) <= 1.01 * mean(expected.rms),
          `blocks ${from} to ${to}: ${mean(own)} instead of ${mean(expected.rms)}`,
        );
      }
      // Blocks of one or two values: nothing but the rounding of scales.
      for (const block of [18, 19, 20, 21])
        assert.ok(
          own[block]! <= Math.max(1.01 * expected.rms[block]!, 3e-4),
          `block ${block}: ${own[block]}`,
        );
    });
}

test('F32 keeps the bits', () => {
  const odd = Float32Array.of(0, -0, 1e-45, 3.4e38, Number.NaN);
  assert.deepEqual(new Uint32Array(unpacked('F32', odd).buffer), new Uint32Array(odd.buffer));
});

test('the largest values that blocks can hold', () => {
  const large = Float32Array.from({ length: 256 }, (_, i) => (i % 2 === 0 ? 1 : -1) * 1e4 * (i / 255));
  for (const type of ['Q8_0', 'Q6_K', 'Q5_K', 'Q4_K', 'Q5_1', 'Q5_0'] as const) {
    const error = unpacked(type, large).map((value, i) => Math.abs(value - large[i]!));
    assert.ok(Math.max(...error) < 1e4 / 12, `${type}: ${Math.max(...error)}`);
  }
});

test('a length that is not whole blocks is refused', () => {
  assert.throws(() => quantize('Q4_K', new Float32Array(128), new Uint8Array(72)), /do not hold 128 values/);
});

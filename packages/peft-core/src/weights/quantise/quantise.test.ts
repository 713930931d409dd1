import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { dynamicMap } from './dynamic-map.ts';
import { dequantiseInt8, quantiseInt8 } from './int8.ts';
import { dequantiseNf4, NF4, quantiseNf4 } from './nf4.ts';

interface Nf4Case {
  shape: number[];
  weights: string;
  codes: string;
  absmax: string;
  nestedAbsmax: string;
  offset: number;
  everySixteenth: string;
}
interface Golden {
  codeBook: string;
  dynamicMap: string;
  nf4: Record<string, Nf4Case>;
  int8: { shape: number[]; weights: string; codes: string; absmax: string };
}

// Written by scripts/golden/testdata/quantised_weights.py.
const golden: Golden = JSON.parse(
  readFileSync(new URL('testdata/bitsandbytes.json', import.meta.url), 'utf8'),
);
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'));
const floats = (text: string) => new Float32Array(bytes(text).buffer);
const weightsOf = ({ weights }: { weights: string }) =>
  Float32Array.from(
    new Float32Array(Uint32Array.from(new Uint16Array(bytes(weights).buffer), (x) => x << 16).buffer),
  );

test('code book and dynamic map are bitsandbytes’, bit for bit', () => {
  assert.deepEqual(NF4, floats(golden.codeBook));
  assert.deepEqual(dynamicMap(), floats(golden.dynamicMap));
});

for (const [name, expected] of Object.entries(golden.nf4)) {
  test(`nf4 as bitsandbytes: ${name}`, () => {
    const weights = weightsOf(expected);
    const found = quantiseNf4(weights);
    const codes = bytes(expected.codes);
    // bitsandbytes pads at most the last byte, Graft the last block.
    const whole = weights.length >> 1;
    assert.deepEqual(found.codes.slice(0, whole), codes.slice(0, whole));
    if (weights.length % 2 === 1) assert.equal(found.codes[whole]! >> 4, codes[whole]! >> 4);

    const group = floats(expected.nestedAbsmax);
    assert.ok(Math.abs(found.offset[0]! / expected.offset - 1) < 1e-6);
    for (const [i, x] of found.nestedAbsmax.entries()) assert.ok(Math.abs(x / group[i]! - 1) < 1e-5);
    // bitsandbytes' CPU kernel uses a coarse look-up table for maxima, and chooses the other neighbour in a tie.
    const absmax = bytes(expected.absmax);
    const apart = [...absmax].map((code, i) => Math.abs(code - found.absmax[i]!));
    assert.ok(Math.max(...apart) <= 1);
    assert.ok(apart.filter((d) => d > 0).length <= absmax.length / 100);

    const values = dequantiseNf4(found, weights.length);
    for (const [i, x] of floats(expected.everySixteenth).entries()) {
      assert.ok(Math.abs(values[16 * i]! - x) <= 0.005 * Math.abs(x) + 1e-9, `${values[16 * i]} and ${x}`);
    }
  });
}

test('nf4: a block worked out by hand', () => {
  // With one block its absolute maximum, 2, is the mean of all maxima and is stored exactly.
  const weights = new Float32Array(64);
  weights.set([2, -2, 1.1, -0.3, 0.01, 1.43]);
  const { codes, absmax, nestedAbsmax, offset } = quantiseNf4(weights);
  assert.deepEqual([...offset, ...nestedAbsmax, absmax[0]], [2, 0, dynamicMap().indexOf(0)]);
  // ±2 are ±1 of the maximum; 0.55 is nearest to 0.5626, −0.15 to −0.1848, 0.005 to 0, 0.715 to 0.7230.
  assert.deepEqual([...codes.slice(0, 4)], [0xf0, 0xd5, 0x7e, 0x77]);
  const values = dequantiseNf4({ codes, absmax, nestedAbsmax, offset }, 64);
  assert.deepEqual(
    [...values.slice(0, 6)],
    [15, 0, 13, 5, 7, 14].map((code) => 2 * NF4[code]!),
  );
});

test('nf4: what quantising costs', () => {
  const weights = weightsOf(golden.nf4['more than one group of 256 blocks']!);
  const parts = quantiseNf4(weights);
  const values = dequantiseNf4(parts, weights.length);
  for (let block = 0; block < weights.length; block += 64) {
    const own = weights.subarray(block, block + 64);
    const largest = own.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    // Half the widest gap of the code book, 0.152, and of the dynamic map, 0.0071, for the maximum.
    const bound = 0.152 * largest + 0.0071 * parts.nestedAbsmax[block >> 14]! + 1e-7;
    for (const [i, x] of own.entries()) assert.ok(Math.abs(values[block + i]! - x) <= bound);
  }
  const power = (of: Float32Array) => of.reduce((sum, x) => sum + x * x, 0);
  const lost = Math.sqrt(power(values.map((x, i) => x - weights[i]!)) / power(weights));
  assert.ok(lost > 0.05 && lost < 0.1, `${lost} of normal weights is lost`);
  const stored = parts.codes.length + parts.absmax.length + 4 * parts.nestedAbsmax.length + 4;
  assert.ok((8 * stored) / weights.length < 4.3, 'bits a weight, with a group that is nearly empty');
});

test('int8 as bitsandbytes, off by half a step at most, also transposed', () => {
  const [rows, columns] = golden.int8.shape as [number, number];
  const weights = weightsOf(golden.int8);
  const { codes, scales } = quantiseInt8(weights, golden.int8.shape, false);
  assert.deepEqual(codes, new Int8Array(bytes(golden.int8.codes).buffer));
  assert.deepEqual(
    scales,
    floats(golden.int8.absmax).map((x) => x / 127),
  );
  const values = dequantiseInt8({ codes, scales }, golden.int8.shape, false);
  for (const [i, x] of weights.entries()) {
    assert.ok(Math.abs(values[i]! - x) <= 0.5001 * scales[Math.floor(i / columns)]!);
  }

  const turned = Float32Array.from(
    { length: weights.length },
    (_, i) => weights[(i % rows) * columns + Math.floor(i / rows)]!,
  );
  const other = quantiseInt8(turned, [columns, rows], true);
  assert.deepEqual(other.scales, scales);
  assert.deepEqual(
    other.codes,
    Int8Array.from({ length: weights.length }, (_, i) => codes[(i % rows) * columns + Math.floor(i / rows)]!),
  );
});

test('int8: an output of zeros stays zero', () => {
  const { codes, scales } = quantiseInt8(Float32Array.of(0, 0, 1, -0.5), [2, 2], false);
  assert.deepEqual([...codes, scales[0]], [0, 0, 127, -64, 0]);
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { dequantize } from './dequantize.ts';
import { type GgufType, ggufTypes } from './types.ts';

// From scripts/golden/testdata/gguf_dequant.py: results of the `gguf` Python package.
const cases: Record<string, { raw: string; values: string }> = JSON.parse(
  readFileSync(new URL('testdata/gguf-dequant.json', import.meta.url), 'utf8'),
);

test('there is a case for every type', () => {
  assert.deepEqual(Object.keys(cases).sort(), Object.keys(ggufTypes).sort());
});

for (const [type, { raw, values }] of Object.entries(cases)) {
  test(`${type} unpacks to the same bits as the gguf package`, () => {
    const expected = new Uint8Array(Buffer.from(values, 'base64'));
    const out = new Float32Array(expected.byteLength / 4);
    // An odd position in a larger buffer, which a chunk of a file may have.
    const bytes = Buffer.concat([Buffer.alloc(1), Buffer.from(raw, 'base64')]).subarray(1);
    dequantize(type as GgufType, bytes, out);
    assert.deepEqual(new Uint32Array(out.buffer), new Uint32Array(expected.buffer));
  });
}

test('a length that is not whole blocks is refused', () => {
  assert.throws(() => dequantize('Q4_0', new Uint8Array(17), new Float32Array(32)), /17 bytes of Q4_0/);
  assert.throws(() => dequantize('Q4_0', new Uint8Array(9), new Float32Array(16)), /do not hold 16 values/);
});

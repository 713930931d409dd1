import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepFloats } from './json-file.ts';

test('integers that are floats in the original keep their .0, alone and in lists', () => {
  const original =
    '{"scale": 2.0, "layers": 2, "time_step_limit": [0.0, {"__float__": "Infinity"}], "sizes": [1, 2], "betas": [1.0, 2]}';
  const written = JSON.stringify({ ...JSON.parse(original), scale: 2, other: [0, 1] }, null, 2);
  const kept = keepFloats(written, original);
  assert.deepEqual(JSON.parse(kept), JSON.parse(written));
  assert.deepEqual(kept.match(/-?\d+(\.\d+)?/g), ['2.0', '2', '0.0', '1', '2', '1.0', '2', '0', '1']);
  assert.equal(keepFloats('{"betas": [1, 3]}', original), '{"betas": [1, 3]}');
});

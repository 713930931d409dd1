import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './nearest.ts';

const modules = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'c_proj', 'up_proj', 'down_proj'];

test('two swapped letters are one edit', () => {
  assert.deepEqual(nearest('_qproj', modules), ['q_proj']);
  assert.deepEqual(nearest('pu_proj', modules), ['up_proj']);
  assert.deepEqual(nearest('I3A', ['LORA', 'IA3', 'LN_TUNING']), ['IA3']);
});

test('the closest come first, equally close ones by name, and what shares less than half is left out', () => {
  assert.deepEqual(nearest('x_proj', modules, 3), ['c_proj', 'k_proj', 'o_proj']);
  assert.deepEqual(nearest('Q_PROJ', ['score', 'q_proj', 'q_proj'], 3), ['q_proj']);
  assert.deepEqual(nearest('embeddings', modules), []);
});

test('a long word takes bounded time', () => {
  const start = performance.now();
  assert.deepEqual(nearest('q'.repeat(10_000), modules), []);
  assert.deepEqual(nearest('\ud800'.repeat(10_000), ['']), []);
  assert.ok(performance.now() - start < 500);
});

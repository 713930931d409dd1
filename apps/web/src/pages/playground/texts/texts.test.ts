import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cosines, modeOf } from './texts.ts';

test('cosines of vectors of any length, and of none', () => {
  const found = cosines([
    [3, 0],
    [0, 2],
    [-1, 0],
    [0, 0],
  ]);
  assert.deepEqual(found[0], [1, 0, -1, 0]);
  assert.deepEqual(found[3], [0, 0, 0, 0]);
});

test('an adapter has the mode of its task, a base model the chosen one', () => {
  assert.deepEqual(
    ['FEATURE_EXTRACTION', 'TOKEN_CLS', 'CAUSAL_LM', null].map((task) => modeOf('classes', task)),
    ['embeddings', 'classes', 'chat', 'classes'],
  );
  assert.equal(modeOf('text', 'SEQ_2_SEQ_LM'), 'text');
});

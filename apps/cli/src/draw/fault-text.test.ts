import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultText } from './fault-text.ts';

test('a fault of many lines is one line of text', () => {
  assert.equal(faultText({ line: 3, message: 'is empty' }), 'line 3 is empty');
  assert.equal(faultText({ path: 'peft.r', message: 'must be whole' }), 'peft.r must be whole');
  const lines = Array.from({ length: 40 }, (_, i) => [3 * i + 1, 3 * i + (i === 0 ? 2 : 1)]);
  assert.equal(
    faultText({ line: 1, message: 'is empty', count: 117, lines }),
    'lines 1-2, 4, 7, 10, 13, 16, 19, 22, 25, 28 and 106 more: is empty',
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectMatrix } from './matrix-selection.ts';

test('a run tests the eighth of its commit and what has changed', () => {
  assert.deepEqual(selectMatrix(2, [], true), {
    part: '2',
    changed: '',
    covered: 'part 3 of 8 of the golden matrix',
  });
  const { part, changed, covered } = selectMatrix(7, ['lora', 'qwen2'], true);
  assert.deepEqual([part, changed], ['7', 'lora,qwen2']);
  assert.match(covered, /^part 8 of 8 .* and all of lora, qwen2, which changed$/);
});

test('after a change of everything a long run tests all, and a short one a second eighth', () => {
  assert.equal(selectMatrix(2, ['*'], false).changed, '*');
  assert.deepEqual(
    [1, 6].map((own) => {
      const { part, changed } = selectMatrix(own, ['*'], true);
      return [part, changed];
    }),
    [
      ['1,5', ''],
      ['2,6', ''],
    ],
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from './preview.tsx';

/** Both texts, with what differs in capitals. */
const shown = (a: string, b: string) => {
  const marks = differences([...a], [...b]);
  return [a, b].map((text, n) =>
    [...text].map((each, i) => (marks[n as 0 | 1][i] ? each.toUpperCase() : each)).join(''),
  );
};

test('what differs is outside the longest common subsequence', () => {
  assert.deepEqual(shown('abc', 'abc'), ['abc', 'abc']);
  assert.deepEqual(shown('abxcd', 'abcd'), ['abXcd', 'abcd']);
  assert.deepEqual(shown('abcxe', 'abdye'), ['abCXe', 'abDYe']);
  assert.deepEqual(shown('axbycz', 'abc'), ['aXbYcZ', 'abc']);
  assert.deepEqual(shown('', 'ab'), ['', 'AB']);
  assert.deepEqual(shown('ab', 'cd'), ['AB', 'CD']);
  assert.deepEqual(shown('aa', 'aaa'), ['aa', 'aaA']);
});

test('lists that are too long to compare differ between their common ends', () => {
  const long = (of: string) => `start${of.repeat(2000)}end`;
  assert.deepEqual(shown(long('ab'), long('ac')), [
    `starta${'AB'.repeat(2000).slice(1)}end`,
    `starta${'AC'.repeat(2000).slice(1)}end`,
  ]);
});

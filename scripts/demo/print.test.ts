import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bar, percent, score, sideBySide, table } from './print.ts';

test('a bar has twenty cells', () => {
  assert.equal(bar(0), '░'.repeat(20));
  assert.equal(bar(0.5), '█'.repeat(10) + '░'.repeat(10));
  assert.equal(bar(1), '█'.repeat(20));
  assert.equal(bar(0.97), `${'█'.repeat(19)}░`);
});

test('a score is shown as bar, percent and counts', () => {
  assert.equal(percent(2, 3), 67);
  assert.equal(score(30, 40), '███████████████░░░░░ 75 %  (30 of 40)');
});

test('the values of a table are aligned in one column', () => {
  assert.equal(
    table([
      ['a', '1'],
      ['long name', '2'],
    ]),
    '   a          1\n   long name  2',
  );
});

test('answers stand below their question, flat, cut to a line, and marked by whether they are right', () => {
  const right = sideBySide('Is it?', 'yes', 'no\nor yes', 'yes');
  assert.deepEqual(right.split('\n'), [
    '   Is it?',
    '   expected  yes',
    '   before    no or yes',
    '   after     yes  ✓',
    '',
  ]);
  const wrong = sideBySide('?', 'x'.repeat(100), '', 'x'.repeat(99)).split('\n');
  assert.equal(wrong[1], `   expected  ${'x'.repeat(83)}…`);
  // The same line when cut, and yet another answer.
  assert.equal(wrong[3], `   after     ${'x'.repeat(83)}…  ✗`);
});

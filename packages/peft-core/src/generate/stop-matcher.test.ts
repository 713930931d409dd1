import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StopMatcher } from './stop-matcher.ts';

test('finds a stop string that arrives in pieces, and shows nothing of it', () => {
  const m = new StopMatcher(['END', '\n\n']);
  assert.equal(m.push('one E'), 'one ');
  assert.equal(m.push('N'), '');
  assert.equal(m.push('D two'), '');
  assert.equal(m.matched, true);
  assert.equal(m.push('more'), '');
  assert.equal(m.end(), '');
});

test('releases text that only looked like a stop string', () => {
  const m = new StopMatcher(['END']);
  assert.equal(m.push('EN') + m.push('TER') + m.push(' E') + m.end(), 'ENTER E');
  assert.equal(m.matched, false);
});

test('the earliest of several wins', () => {
  const m = new StopMatcher(['b', 'ab']);
  assert.equal(m.push('xxab'), 'xx');
});

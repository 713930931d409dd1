import assert from 'node:assert/strict';
import { test } from 'node:test';
import { depth } from './json-body.ts';

test('depth counts brackets outside of texts', () => {
  assert.equal(depth('1'), 0);
  assert.equal(depth('{"a":[1,{"b":[]}]}'), 4);
  assert.equal(depth('{"a":"[[[[","b\\"[[":{}}'), 2);
  assert.equal(depth('[[],[[]]]'), 3);
});

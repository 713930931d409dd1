import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonExtent } from './json-extent.ts';

test('depth and values are counted outside of texts', () => {
  assert.deepEqual(jsonExtent('1'), { depth: 0, values: 1 });
  assert.deepEqual(jsonExtent('{"a":[1,{"b":[]}]}'), { depth: 4, values: 6 });
  assert.deepEqual(jsonExtent('{"a":"[[[[,,,","b\\"[[":{}}'), { depth: 2, values: 4 });
  assert.equal(jsonExtent('[[],[[]]]').depth, 3);
  assert.equal(jsonExtent(`[${'0,'.repeat(1000)}0]`).values, 1002);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mappingFault, mappingIn, mappingText } from './columns.ts';

test('a mapping of columns is read from a text, and written as one', () => {
  const mapping = { prompt: 'question', completion: 'the answer' };
  assert.deepEqual(mappingIn(' prompt = question,completion=the answer '), mapping);
  assert.deepEqual(mappingIn(mappingText(mapping)), mapping);
  for (const text of ['prompt', 'prompt=', '=question', 'prompt=a=b', 'prompt=question,', ',']) {
    assert.equal(mappingIn(text), null);
    assert.match(mappingFault(text)!, /field=column/);
  }
  assert.equal(mappingFault(' '), null);
});

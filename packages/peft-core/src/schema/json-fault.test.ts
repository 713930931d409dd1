import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonFault } from './json-fault.ts';

test('what JSON.parse takes has no fault, and all else has one, with its position', () => {
  const whole = '{"a": [1, -2.5e+3, "x\\u00e9\\n\\"", true, null, {}, []], "b": {"c": false}} ';
  const texts = [
    '',
    ' ',
    '[1 2]',
    '{"a":1,}',
    '[1,]',
    '01',
    '1.',
    '-',
    '"\\x"',
    '"\\u12"',
    '"a\tb"',
    'nul',
    '{a:1}',
    '1 1',
    '[',
    '"',
    '"\\',
    '{"a"}',
    ']',
    '\u2028',
  ];
  // Truncated or changed at every position.
  for (let i = 0; i < whole.length; i++) {
    texts.push(
      whole.slice(0, i),
      `${whole.slice(0, i)}#${whole.slice(i + 1)}`,
      whole.slice(0, i) + whole.slice(i + 1),
    );
  }
  for (const text of [whole, ...texts]) {
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    assert.equal(jsonFault(text) === null, isJson, JSON.stringify(text));
  }
  assert.equal(jsonFault('{"a": secret}'), 'an unexpected character at position 7');
  assert.equal(jsonFault('{"a": "secret'), 'an early end at position 14');
  assert.equal(jsonFault('{} secret'), 'text after its end at position 4');
  assert.equal(jsonFault(`["${'x'.repeat(5e6)}`), 'an early end at position 5000003');
});

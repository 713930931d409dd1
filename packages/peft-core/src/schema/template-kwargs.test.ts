import assert from 'node:assert/strict';
import { test } from 'node:test';
import { templateKwargsFault, withTexts } from './template-kwargs.ts';

const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });

test('variables of a chat template are JSON within bounds', () => {
  for (const value of [
    {},
    { enable_thinking: false, reasoning_effort: 'low', budget: 1.5, nothing: null },
    { date_string: '26 Jul 2024', builtin: ['a', 'b'], nested: { 'a name': { b: [1] } } },
    { text: 'ä🚲'.repeat(300) },
    { a: deep(8) },
  ])
    assert.equal(templateKwargsFault(value), null, JSON.stringify(value));
});

test('what is no such object, too large or another variable of the template is refused', () => {
  const faults: [unknown, RegExp][] = [
    [[], /an object, got \[\]/],
    ['x', /an object/],
    [null, /an object/],
    [{ messages: [] }, /must not set messages/],
    [{ tools: [] }, /must not set tools/],
    [{ add_generation_prompt: false }, /must not set add_generation_prompt/],
    [{ eos_token: 'x' }, /must not set eos_token/],
    [{ strftime_now: 1 }, /must not set strftime_now/],
    [JSON.parse('{"__proto__":{"a":1}}'), /must not set __proto__/],
    [JSON.parse('{"a":{"__proto__":1}}'), /plain names of fields/],
    [{ 'not a name': 1 }, /names of variables/],
    [{ a: { '<|im_end|>': 1 } }, /plain names of fields/],
    [{ a: 'x'.repeat(4100) }, /at most 4096 bytes/],
    [{ a: '🚲'.repeat(1500) }, /at most 4096 bytes/],
    [{ a: Array(5000).fill(1) }, /at most 4096 bytes/],
    [{ a: Array(3000).fill(1) }, /at most 4096 bytes/],
    [{ a: deep(9) }, /at most 8 deep/],
    [{ a: deep(100) }, /at most 8 deep/],
    [{ a: Number.POSITIVE_INFINITY }, /finite/],
    [{ a: 'a\0' }, /NUL/],
    [{ a: '\ud800' }, /Unicode/],
    [Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, 1])), /at most 32 names/],
  ];
  for (const [value, message] of faults) assert.match(String(templateKwargsFault(value)), message);
});

test('every text of a value is changed, and nothing else', () => {
  const value = { a: 'x', b: ['y', 1, { c: 'z' }], d: null };
  assert.deepEqual(
    withTexts(value, (text) => `${text}!`),
    { a: 'x!', b: ['y!', 1, { c: 'z!' }], d: null },
  );
});

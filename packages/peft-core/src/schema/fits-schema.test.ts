import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { Random } from '../random.ts';
import { methods } from '../tuners/methods.ts';
import { fitsSchema } from './check-fields.ts';

const odd: unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  7,
  2 ** 31,
  1e308,
  Number.NaN,
  '',
  'q_proj',
  'x'.repeat(300),
  'CAUSAL_LM',
  [],
  [1, 2],
  [1, 1],
  ['q', 'q'],
  [1, 'q'],
  [null],
  [1.5],
  [-1],
  {},
  { q: 1 },
  { q: [1, 2] },
  { q: [1, 1] },
  { '': 1 },
  { q: 1, k: 'x' },
  Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`m${i}`, [i]])),
];

test('agrees with typebox about every option of every method, whatever it is given', () => {
  const random = new Random(7, 'test');
  const nested = (depth: number): unknown => {
    const pick = odd[Math.floor(random.uniform() * odd.length)];
    if (depth === 0 || random.uniform() < 0.4) return pick;
    const parts = Array.from({ length: Math.floor(random.uniform() * 4) }, () => nested(depth - 1));
    return random.uniform() < 0.5 ? parts : Object.fromEntries(parts.map((part, i) => [`m${i}`, part]));
  };
  const values = [...odd, ...Array.from({ length: 300 }, () => nested(2))];
  let fitting = 0;
  for (const [type, method] of Object.entries(methods)) {
    for (const [option, schema] of Object.entries(method.schema.properties)) {
      for (const value of values) {
        const expected = Value.Check(schema as TSchema, value);
        if (expected) fitting++;
        const label = `${type}.${option} ${JSON.stringify(value)}`;
        assert.equal(fitsSchema(schema as TSchema, value), expected, label);
      }
    }
  }
  assert.ok(fitting > 1000, `${fitting} fit`);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { optionValues } from './export-options.ts';

test('values have the types of the options, and no name is lost', () => {
  const schemas = { system: { type: 'string' }, num_ctx: { type: 'integer' } };
  assert.deepEqual(optionValues(schemas, ['system=12', 'num_ctx=12', 'other=12', 'num_ctx=many']), {
    system: '12',
    num_ctx: 'many',
    other: '12',
  });
  assert.deepEqual(Object.keys(optionValues(schemas, ['__proto__=1', 'constructor=2'])), [
    '__proto__',
    'constructor',
  ]);
  assert.throws(() => optionValues(schemas, ['=1']), { name: 'UsageError', message: /name=value, not =1/ });
});

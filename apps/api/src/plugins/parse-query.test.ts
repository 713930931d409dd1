import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuery } from './parse-query.ts';

test('metadata in brackets becomes an object', () => {
  assert.deepEqual(parseQuery('limit=2&metadata%5Ba%5D=1&metadata[b c]=x%26y'), {
    limit: '2',
    metadata: { a: '1', 'b c': 'x&y' },
  });
  assert.deepEqual(parseQuery('metadata=x'), { metadata: 'x' });
  assert.deepEqual(parseQuery(''), {});
});

test('no key reaches the prototype', () => {
  const query = parseQuery('metadata[__proto__]=x&__proto__=y&__proto__=z') as { metadata: object };
  assert.equal(Object.getPrototypeOf(query), Object.prototype);
  assert.equal(Object.getPrototypeOf(query.metadata), Object.prototype);
  assert.equal(({} as { x?: string }).x, undefined);
});

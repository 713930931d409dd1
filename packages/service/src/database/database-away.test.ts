import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDatabaseAway } from './database-away.ts';

test('faults of the connection, also as causes and in aggregates', () => {
  const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  assert.ok(isDatabaseAway(refused));
  assert.ok(isDatabaseAway(new Error('outer', { cause: refused })));
  assert.ok(isDatabaseAway(new AggregateError([refused])));
  assert.ok(isDatabaseAway(Object.assign(new Error('shutting down'), { code: '57P01' })));
  assert.ok(isDatabaseAway(new Error('Connection terminated unexpectedly')));
});

test('other faults are none', () => {
  assert.ok(!isDatabaseAway(Object.assign(new Error('duplicate key'), { code: '23505' })));
  assert.ok(!isDatabaseAway(Object.assign(new Error('no file'), { code: 'ENOENT', syscall: 'open' })));
  assert.ok(!isDatabaseAway(new Error('x')));
  assert.ok(!isDatabaseAway(null));
});

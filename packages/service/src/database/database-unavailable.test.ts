import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '@graft/peft-core/config';
import { isDatabaseUnavailable } from './database-unavailable.ts';

test('faults of the connection, also as causes and in aggregates', () => {
  const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  assert.ok(isDatabaseUnavailable(refused));
  assert.ok(isDatabaseUnavailable(new Error('outer', { cause: refused })));
  assert.ok(isDatabaseUnavailable(new AggregateError([refused])));
  assert.ok(isDatabaseUnavailable(Object.assign(new Error('shutting down'), { code: '57P01' })));
  assert.ok(isDatabaseUnavailable(new Error('Connection terminated unexpectedly')));
});

test('other faults are none', () => {
  assert.ok(!isDatabaseUnavailable(Object.assign(new Error('duplicate key'), { code: '23505' })));
  assert.ok(!isDatabaseUnavailable(Object.assign(new Error('no file'), { code: 'ENOENT', syscall: 'open' })));
  assert.ok(!isDatabaseUnavailable(new Error('x')));
  assert.ok(!isDatabaseUnavailable(null));
  const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  const store = new GraftError('storage_away', 'away', { fault: 'environment', cause: refused });
  assert.ok(!isDatabaseUnavailable(store), 'another server is unavailable');
  assert.ok(!isDatabaseUnavailable(new Error('outer', { cause: store })));
});

test('Prisma, whose errors carry what its adapter for pg caught', () => {
  const caught = (cause: object) =>
    Object.assign(new Error('Raw query failed'), {
      code: 'P2010',
      meta: { driverAdapterError: Object.assign(new Error('x'), { cause }) },
    });
  assert.ok(isDatabaseUnavailable(caught({ kind: 'postgres', originalCode: '57P01' })));
  assert.ok(isDatabaseUnavailable(caught({ kind: 'DatabaseNotReachable', host: 'x' })));
  assert.ok(
    isDatabaseUnavailable(Object.assign(new Error('Unable to start a transaction'), { code: 'P2028' })),
  );
  assert.ok(!isDatabaseUnavailable(caught({ kind: 'postgres', originalCode: 'GJ001' })));
});

test('a transaction that Postgres aborted, and a Postgres that is read-only, are worth another try', () => {
  for (const code of ['40001', '40P01', '25006', '53200']) {
    assert.ok(isDatabaseUnavailable(Object.assign(new Error('x'), { code })), code);
  }
});

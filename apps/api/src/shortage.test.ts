import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '@graft/peft-core/config';
import { ThreadTimeout } from '@graft/peft-core/threads';
import { instruments } from '@graft/service/observe';
import type { ErrorCode } from './error-codes.ts';
import { type Shortage, shortageOf } from './shortage.ts';
import { QueueFull } from './threads/fair-queue.ts';
import { toApiError } from './to-api-error.ts';

const coded = (code: string, message = 'x') => Object.assign(new Error(message), { code });
/** As Prisma's adapter for pg reports what it caught. */
const prisma = (cause: object, code = 'P2010') =>
  Object.assign(new Error('Raw query failed'), {
    code,
    meta: { driverAdapterError: Object.assign(new Error('x'), { cause }) },
  });

/** Every error that overload alone causes on the path of a request. */
const errors: Record<Shortage, readonly Error[]> = {
  turn: [new QueueFull('all')],
  row: [coded('55P03'), prisma({ kind: 'postgres', originalCode: '55P03' })],
  statement: [
    coded('57014'),
    prisma({ kind: 'postgres', originalCode: '57014' }),
    prisma({ kind: 'SocketTimeout' }),
    new Error('Query read timeout'),
  ],
  database: [
    new Error('timeout exceeded when trying to connect'),
    new Error('Connection terminated due to connection timeout'),
    ...['53300', '53200', '53100', '40001', '40P01', '57P01', '25P03', '25006'].map((code) => coded(code)),
    ...['P1001', 'P1008', 'P1017', 'P2024', 'P2028', 'P2034', 'P2037'].map((code) => coded(code)),
    ...['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN'].map((code) => coded(code)),
    prisma({ kind: 'TooManyConnections' }),
    new Error('outcome unknown', { cause: coded('ECONNRESET') }),
  ],
  thread: [new ThreadTimeout(), coded('ERR_WORKER_INIT_FAILED'), coded('ERR_WORKER_OUT_OF_MEMORY')],
  machine: [
    ...['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'ENOBUFS'].map((code) => coded(code)),
    new RangeError('Array buffer allocation failed'),
  ],
};

const codes: Record<Shortage, ErrorCode> = {
  turn: 'overloaded',
  row: 'resource_busy',
  statement: 'overloaded',
  database: 'service_unavailable',
  thread: 'overloaded',
  machine: 'overloaded',
};

for (const [shortage, all] of Object.entries(errors) as [Shortage, Error[]][]) {
  test(`${shortage}: 503 with Retry-After, and counted`, async () => {
    const counted = async () =>
      (await instruments.overload.get()).values.find(({ labels }) => labels.reason === shortage)?.value ?? 0;
    const before = await counted();
    for (const error of all) {
      assert.equal(shortageOf(error), shortage, `${(error as { code?: string }).code} ${error.message}`);
      const { status, code, headers, message } = toApiError(error);
      assert.deepEqual([status, code], [503, codes[shortage]], error.message);
      assert.match(headers['retry-after']!, /^\d+$/);
      assert.match(message, /try again/);
    }
    assert.equal(await counted(), before + all.length);
  });
}

test('a full disk outside of the storage is storage_full, and one that does not answer is storage_away with 503', () => {
  assert.deepEqual(
    [toApiError(coded('ENOSPC')).status, toApiError(coded('ENOSPC')).code],
    [507, 'storage_full'],
  );
  const away = toApiError(coded('EIO'));
  assert.deepEqual([away.status, away.code, away.headers['retry-after']], [503, 'storage_away', '5']);
});

test('a client with too many requests gets 429', () => {
  const { status, code, headers } = toApiError(new QueueFull('owner'));
  assert.deepEqual([status, code, headers['retry-after']], [429, 'too_many_requests', '5']);
});

test('faults of the user and of the program are no shortage', () => {
  for (const error of [
    coded('23505'),
    coded('ENOENT'),
    new TypeError('x'),
    new RangeError('Invalid array length'),
  ]) {
    assert.equal(shortageOf(error), null);
    assert.equal(toApiError(error).status, 500);
  }
  assert.equal(toApiError(new GraftError('invalid_value', 'x')).status, 400);
});

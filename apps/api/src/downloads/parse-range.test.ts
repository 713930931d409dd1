import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRange } from './download.ts';

test('one range of bytes', () => {
  assert.deepEqual(parseRange('bytes=0-0', 10), { start: 0, end: 1 });
  assert.deepEqual(parseRange('bytes=2-', 10), { start: 2, end: 10 });
  assert.deepEqual(parseRange('bytes=-3', 10), { start: 7, end: 10 });
  assert.deepEqual(parseRange('bytes=-30', 10), { start: 0, end: 10 });
  assert.deepEqual(parseRange('bytes=5-99', 10), { start: 5, end: 10 });
});

test('outside the resource', () => {
  for (const header of ['bytes=10-', 'bytes=10-12', 'bytes=-0']) {
    assert.equal(parseRange(header, 10), 'unsatisfiable', header);
  }
});

test('what a server may ignore', () => {
  for (const header of [
    undefined,
    'bytes=',
    'bytes=-',
    'lines=1-2',
    'bytes=1-2,4-5',
    'bytes=5-2',
    'bytes=a-b',
  ]) {
    assert.equal(parseRange(header, 10), null, header);
  }
});

test('numbers and lists of any size', () => {
  const digits = '9'.repeat(10_000);
  assert.deepEqual(parseRange(`bytes=0-${digits}`, 10), { start: 0, end: 10 });
  assert.deepEqual(parseRange(`bytes=-${digits}`, 10), { start: 0, end: 10 });
  assert.deepEqual(parseRange('bytes=00000000000000000003-3', 10), { start: 3, end: 4 });
  assert.equal(parseRange(`bytes=${digits}-`, 10), 'unsatisfiable');
  const many = Array.from({ length: 5_000 }, (_, i) => `${i}-${i + 9}`).join(',');
  for (const header of [`bytes=${many}`, 'bytes=0x1-0x2', 'bytes=1e1-2', 'bytes=--1', 'bytes=1-2-3', 'BYTES'])
    assert.equal(parseRange(header, 100_000), null, header.slice(0, 20));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compact, measure, none } from './numbers.ts';

test('large numbers have a suffix that is the same in every locale, after a no-break space', () => {
  const written = [0, 12.34, 999, 999.96, 2_442_240, 999_949, 999_960, 8_030_000_000, 2e16, -1500].map(
    compact,
  );
  assert.deepEqual(
    written.map((text) => text.replaceAll('\u00a0', '_')),
    ['0', '12.3', '999', '1_k', '2.4_M', '999.9_k', '1_M', '8_B', '20,000_T', '-1.5_k'],
  );
  assert.equal(compact(null), none);
});

test('rates are written out; only what has no short form is scientific', () => {
  assert.deepEqual([1e-4, 2.5e-5, 0.123456, 1234.5, 3e-7, 2e6].map(measure), [
    '0.0001',
    '0.000025',
    '0.1235',
    '1,235',
    '3E-7',
    '2E6',
  ]);
});

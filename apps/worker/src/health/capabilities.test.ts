import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnhealthyReason } from '../faults/unfit.ts';
import { kernelsOf } from './capabilities.ts';

test('kernels come in the order in which jobs take them here: what the operator wants first', () => {
  const found = ['avx512', 'avx2', 'baseline', 'stock'];
  assert.deepEqual(kernelsOf('cpu', 'auto', found), found);
  assert.deepEqual(kernelsOf('cpu', 'avx2', found), ['avx2', 'avx512', 'baseline', 'stock']);
  assert.deepEqual(kernelsOf('cpu', 'stock', found)[0], 'stock');
  const onGpu = (wanted: string) => kernelsOf('gpu', wanted, ['xla', 'stock']);
  assert.deepEqual(onGpu('auto'), ['xla', 'stock']);
  assert.deepEqual(onGpu('stock'), ['stock', 'xla']);
  assert.deepEqual(onGpu('avx2'), ['xla', 'stock']);
  assert.throws(
    () => kernelsOf('cpu', 'avx512bf16', found),
    (fault) => fault instanceof UnhealthyReason && /GRAFT_KERNELS names avx512bf16/.test(fault.message),
  );
});

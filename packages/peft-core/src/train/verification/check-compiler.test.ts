import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelSets } from '@graft/tf-graph';
import { checkCompiler, checkedKernelSets } from './check-compiler.ts';

test('XLA compiles here and computes the same, so it may be chosen; a processor has better sets, and names only those', () => {
  checkCompiler();
  assert.deepEqual(
    checkedKernelSets((fault) => assert.fail(fault)),
    kernelSets(),
  );
});

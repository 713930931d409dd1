import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { resolvePrecision } from './precision.ts';

it('resolves auto by the device and leaves a choice alone', () => {
  const gpu = { kind: 'gpu', uuid: 'GPU-0', index: 0, name: 'any', memoryMib: 1 } as const;
  assert.equal(resolvePrecision('auto', gpu), 'bf16');
  assert.equal(resolvePrecision('fp32', gpu), 'fp32');
  assert.equal(resolvePrecision('bf16', { kind: 'cpu' }), 'bf16');
});

it('takes bf16 on a CPU that lists the instructions', { skip: process.platform !== 'linux' }, () => {
  const has = /\b(?:avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  assert.equal(resolvePrecision('auto', { kind: 'cpu' }), has ? 'bf16' : 'fp32');
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { planSlots, resolvePrecision } from './devices.ts';

const gpu = (index: number) =>
  ({ kind: 'gpu', uuid: `GPU-${index}`, index, name: 'NVIDIA L4', memoryMib: 23_034 }) as const;

describe('planSlots', () => {
  const gpus = [gpu(0), gpu(1)];

  it('gives each GPU a trainer', () => {
    assert.deepEqual(planSlots(gpus), { trainers: gpus, generator: gpus[1] });
  });

  it('leaves the generator a separate GPU under a cap', () => {
    assert.deepEqual(planSlots(gpus, 1), { trainers: [gpus[0]], generator: gpus[1] });
    assert.deepEqual(planSlots(gpus, 0).trainers, []);
  });

  it('never has more trainers than devices', () => {
    assert.deepEqual(planSlots([{ kind: 'cpu' }], 4).trainers, [{ kind: 'cpu' }]);
  });
});

describe('resolvePrecision', () => {
  it('resolves auto by the device and leaves a choice alone', () => {
    assert.equal(resolvePrecision('auto', gpu(0)), 'bf16');
    assert.equal(resolvePrecision('fp32', gpu(0)), 'fp32');
    assert.equal(resolvePrecision('bf16', { kind: 'cpu' }), 'bf16');
  });

  it('takes bf16 on a CPU that lists the instructions', { skip: process.platform !== 'linux' }, () => {
    const has = /\b(?:avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
    assert.equal(resolvePrecision('auto', { kind: 'cpu' }), has ? 'bf16' : 'fp32');
  });
});

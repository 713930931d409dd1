import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadCount } from '../precision.ts';
import { measureSpeed } from './measure-speed.ts';

for (const precision of ['fp32', 'bf16'] as const) {
  test(`${precision}: what is measured lies between what was done meanwhile and what no processor does`, async () => {
    const began = performance.now();
    const flops = await measureSpeed(precision);
    const seconds = (performance.now() - began) / 1000;
    // At least two runs of two products of 512 × 576 × 1536.
    assert.ok(flops > (2 * 2 * 2 * 512 * 576 * 1536) / seconds, `${flops} in ${seconds} s`);
    assert.ok(flops < threadCount() * 4e12, `${flops}`);
  });
}

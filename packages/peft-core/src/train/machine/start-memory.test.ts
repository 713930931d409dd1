/** Start values that are computed from the base's weights: their memory as it is estimated and as it is. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { methodOf } from '../../tuners/methods.ts';
import { configWith, wideModel } from './testing/wide-layer.ts';

const program = path.join(import.meta.dirname, 'testing', 'measure-start.ts');
const onLinux = { skip: process.platform !== 'linux' };

function costsOf(options: Record<string, unknown>) {
  const config = configWith(options);
  return methodOf(config).startCosts!(config, wideModel);
}

for (const [init_lora_weights, buffers] of [
  ['pissa', 0],
  ['loftq', 0],
  // Without a decomposition of the whole matrix, buffers of products count: some MB whatever its size.
  ['pissa_niter_4', 12e6],
  ['olora', 12e6],
] as const)
  test(`the memory of start values "${init_lora_weights}" is estimated within 15 %`, onLinux, () => {
    const { bytes } = costsOf({ init_lora_weights })!;
    const measured = Number(execFileSync(process.execPath, ['--import', 'tsx', program, init_lora_weights]));
    const difference = Math.abs(bytes - measured);
    assert.ok(difference < 0.15 * measured + buffers, `${bytes} estimated, ${measured} measured`);
  });

test('drawn start values cost nothing, and a decomposition more with each module', () => {
  assert.equal(costsOf({}), null);
  assert.equal(costsOf({ init_lora_weights: 'orthogonal' }), null);
  const one = costsOf({ init_lora_weights: 'pissa' })!;
  const two = costsOf({ init_lora_weights: 'pissa', target_modules: ['down_proj', 'up_proj'] })!;
  assert.deepEqual([two.bytes, two.work], [one.bytes, 2 * one.work]);
  // Such a matrix takes seconds on a machine with 200 billion operations per second.
  assert.ok(one.work / 200e9 > 0.5 && one.work / 200e9 < 5);
});

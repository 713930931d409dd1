import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramBuilder, usesGpu } from '@graft/tf-graph';
import { GraftError } from '../../errors.ts';
import { checkEngine, placedProduct } from './check-engine.ts';

test('the engine proves itself on the device that it has, and refuses to compute elsewhere without a word', () => {
  checkEngine('fp32');
  checkEngine('bf16', usesGpu() ? 'gpu' : 'cpu');
  if (usesGpu()) return;
  assert.throws(
    () => checkEngine('fp32', 'gpu'),
    (error) =>
      error instanceof GraftError &&
      error.code === 'gpu_not_used' &&
      error.fault === 'environment' &&
      /found no GPU in this process/.test(error.message),
  );
});

test('a product that is placed on a GPU is not computed on a processor', (t) => {
  if (usesGpu()) return t.skip('there is a GPU');
  const builder = new ProgramBuilder();
  const square = { side: { shape: [1, 1], dtype: 'float32' } } as const;
  const on = (device: 'cpu' | 'gpu') =>
    builder.function(device, square, ({ side }) => ({ product: placedProduct(side, side, device) }));
  const [cpu, gpu] = [on('cpu'), on('gpu')];
  const program = builder.build();
  try {
    const side = Float32Array.of(3);
    assert.deepEqual([...program.run(cpu, { side }).product.data], [9]);
    assert.throws(
      () => program.run(gpu, { side }),
      (error: NodeJS.ErrnoException) => error.code === 'INVALID_ARGUMENT' && /GPU:0/.test(error.message),
    );
  } finally {
    program.close();
  }
});

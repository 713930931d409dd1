import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '../tensorflow.ts';
import { ProgramBuilder } from './program-builder.ts';

test('an error of TensorFlow has its status as code: out of memory is distinct from other errors', () => {
  const builder = new ProgramBuilder();
  const number = { shape: [], dtype: 'float32' } as const;
  const place = { shape: [1], dtype: 'int32' } as const;
  // 16 TiB, more than any machine has.
  const fill = builder.function('fill', { value: number }, ({ value }) => ({
    least: tf.min(tf.neg(tf.tile(tf.reshape(value, [1, 1]), [2 ** 21, 2 ** 21]))),
  }));
  const pick = builder.function('pick', { at: place, value: number }, ({ at, value }) => ({
    picked: tf.gather(tf.stack([value, value]), at),
  }));
  const program = builder.build();
  const value = Float32Array.of(1);
  const codeOf = (run: () => unknown): unknown => {
    try {
      run();
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
    return 'none';
  };
  try {
    assert.equal(
      codeOf(() => program.run(fill, { value })),
      'RESOURCE_EXHAUSTED',
    );
    const picking = (at: number) => codeOf(() => program.run(pick, { at: Int32Array.of(at), value }));
    assert.deepEqual([picking(1), picking(7)], ['none', 'INVALID_ARGUMENT']);
  } finally {
    program.close();
  }
});

import { ProgramBuilder, tf } from '@graft/tf-graph';
import { checkEngine } from '../../../packages/peft-core/src/train/verification/check-engine.ts';
import type { CheckContext, Figures } from '../check.ts';

/** More than any device has is refused as memory that ran out, by which a job is tried with less; and the device computes on. */
export async function outOfMemory({ device, precision }: CheckContext): Promise<Figures> {
  const builder = new ProgramBuilder();
  const fill = builder.function('fill', { value: { shape: [], dtype: 'float32' } }, ({ value }) => ({
    // 16 TiB.
    least: tf.min(tf.neg(tf.tile(tf.reshape(value, [1, 1]), [2 ** 21, 2 ** 21]))),
  }));
  const program = builder.build();
  try {
    program.run(fill, { value: Float32Array.of(1) });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'RESOURCE_EXHAUSTED') throw new Error(`it is said to be ${code}: ${message.split('\n')[0]}`);
    checkEngine(precision, device.kind);
    return { '16 TiB': code, afterwards: 'computes' };
  } finally {
    program.close();
  }
  throw new Error('16 TiB were there');
}

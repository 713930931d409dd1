import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

// Trains briefly: a product, a chain of elementwise operations that XLA fuses, random numbers, gradients, and an assigned variable.
const training = (compiled: boolean) => `
  import { attr, ProgramBuilder, rawOp, tf } from '@graft/tf-graph';
  const builder = new ProgramBuilder();
  const w = builder.variable({ name: 'w', shape: [16, 16] });
  const draw = () => {
    const attrs = [attr.type('dtype', 'float32'), attr.type('T', 'int32'), attr.type('Tseed', 'int32')];
    return rawOp('StatelessRandomUniform', attrs, [tf.tensor1d([4, 16], 'int32'), tf.tensor1d([7, 3], 'int32')])[0];
  };
  const step = builder.function('step', { x: { shape: [4, 16], dtype: 'float32' } }, ({ x }) => {
    const lossOf = (w) => tf.mean(tf.square(tf.tanh(tf.add(tf.sin(tf.matMul(tf.add(x, draw()), w)), 0.5))));
    const { value: loss, grads } = tf.valueAndGrads(lossOf)([w.read()]);
    w.assign(tf.sub(w.read(), grads[0]));
    return { loss };
  });
  const program = builder.build({ compiled: ${compiled} });
  await program.write([['w', Float32Array.from({ length: 256 }, (_, i) => Math.sin(i))]]);
  const x = Float32Array.from({ length: 64 }, (_, i) => Math.cos(i));
  console.log(JSON.stringify(Array.from({ length: 5 }, () => program.run(step, { x }).loss.data[0])));
  program.close();
`;

/** Returns the losses, and whether XLA compiled any nodes: TensorFlow logs that once. */
function trained(compiled: boolean) {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', training(compiled)],
    { cwd: import.meta.dirname, encoding: 'utf8', env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '0' } },
  );
  const losses: number[] = JSON.parse(stdout.trim() || '[]');
  assert.equal(losses.length, 5, stderr);
  return { losses, isCompiled: stderr.includes('Compiled cluster using XLA') };
}

test('a compiled program computes the same, of the same random numbers', () => {
  const [plain, compiled] = [trained(false), trained(true)];
  assert.deepEqual([plain.isCompiled, compiled.isCompiled], [false, true]);
  for (const [i, loss] of plain.losses.entries()) assert.ok(Math.abs(compiled.losses[i]! - loss) < 1e-5);
  assert.ok(plain.losses.at(-1)! < plain.losses[0]!);
});

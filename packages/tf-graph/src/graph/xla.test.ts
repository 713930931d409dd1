import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

// Trains a little: a product, a chain of elementwise operations that XLA joins, gradients, and a variable that is assigned.
const training = `
  import { ProgramBuilder, tf } from '@graft/tf-graph';
  const builder = new ProgramBuilder();
  const w = builder.variable({ name: 'w', shape: [16, 16] });
  const step = builder.function('step', { x: { shape: [4, 16], dtype: 'float32' } }, ({ x }) => {
    const lossOf = (w) => tf.mean(tf.square(tf.tanh(tf.add(tf.sin(tf.matMul(x, w)), 0.5))));
    const { value: loss, grads } = tf.valueAndGrads(lossOf)([w.read()]);
    w.assign(tf.sub(w.read(), grads[0]));
    return { loss };
  });
  const program = builder.build();
  await program.write([['w', Float32Array.from({ length: 256 }, (_, i) => Math.sin(i))]]);
  const x = Float32Array.from({ length: 64 }, (_, i) => Math.cos(i));
  console.log(JSON.stringify(Array.from({ length: 5 }, () => program.run(step, { x }).loss.data[0])));
  program.close();
`;

/** The losses, and whether XLA made a program of any nodes: TensorFlow says so once, in its log. */
function trained(xla: string) {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', training],
    {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      env: { ...process.env, GRAFT_XLA: xla, TF_CPP_MIN_LOG_LEVEL: '0' },
    },
  );
  const losses: number[] = JSON.parse(stdout.trim() || '[]');
  assert.equal(losses.length, 5, stderr);
  return { losses, compiled: stderr.includes('Compiled cluster using XLA') };
}

test('with GRAFT_XLA=1 a program is compiled, and computes the same', () => {
  const [plain, compiled] = [trained(''), trained('1')];
  assert.deepEqual([plain.compiled, compiled.compiled], [false, true]);
  for (const [i, loss] of plain.losses.entries()) assert.ok(Math.abs(compiled.losses[i]! - loss) < 1e-5);
  assert.ok(plain.losses.at(-1)! < plain.losses[0]!);
});

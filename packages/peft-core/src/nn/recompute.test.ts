import assert from 'node:assert/strict';
import { test } from 'node:test';
import { customGradient, ProgramBuilder, tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { checkpointed, costly } from './recompute.ts';

/** x² by a costly operation, and a counter of how often it was computed. */
function costlySquare() {
  const counted = { times: 0 };
  const square = (x: tf.Tensor) => {
    const [y] = costly(() => {
      counted.times++;
      return [tf.square(x)];
    }) as [tf.Tensor];
    return customGradient({
      inputs: { x },
      keep: { x, y },
      value: () => y,
      // x · y is x³: the gradient is wrong unless y was computed for this x.
      gradient: (dy, { x, y }) => ({ x: tf.mul(dy, tf.div(tf.mul(2, tf.mul(x, y)), tf.square(x))) }),
    });
  };
  return { square, counted };
}

const x = tf.tensor2d([0.3, -0.7, 1.1, 0.9], [2, 2]);
const w = tf.tensor2d([0.5, 0.2, -0.4, 0.8], [2, 2]);

test('a checkpointed block has the gradients of the block, and does not compute again what is costly', () => {
  const { square, counted } = costlySquare();
  const block = (x: tf.Tensor, w: tf.Tensor) => square(tf.tanh(tf.add(square(tf.matMul(x, w)), x)));
  const sum = (x: tf.Tensor, w: tf.Tensor) => tf.sum(checkpointed((x, w) => block(x, w!), x, [w], 'block'));
  checkGradients((x, w) => checkpointed((x, w) => block(x, w!), x, [w], 'block'), [x, w]);

  counted.times = 0;
  const plain = tf.grads((x: tf.Tensor, w: tf.Tensor) => tf.sum(block(x, w)))([x, w]);
  assert.equal(counted.times, 2);
  counted.times = 0;
  const again = tf.grads(sum)([x, w]);
  assert.equal(counted.times, 2, 'twice going forward, never going back');
  for (const [i, gradient] of again.entries())
    assert.deepEqual([...gradient.dataSync()], [...plain[i]!.dataSync()]);
});

test('blocks behind each other keep apart what is costly, traced', () => {
  const { square } = costlySquare();
  const block = (x: tf.Tensor) => checkpointed((x) => tf.sin(square(x)), x, [], 'block');
  const builder = new ProgramBuilder();
  const spec = { x: { shape: [2, 2], dtype: 'float32' } } as const;
  const gradientOf = (f: (x: tf.Tensor) => tf.Tensor) => (inputs: { x: tf.Tensor }) => {
    const [dx] = tf.grads((x: tf.Tensor) => tf.sum(f(x)))([inputs.x]);
    return { dx: dx! };
  };
  const twice = builder.function(
    'twice',
    spec,
    gradientOf((x) => block(block(x))),
  );
  const plainly = builder.function(
    'plainly',
    spec,
    gradientOf((x) => tf.sin(square(tf.sin(square(x))))),
  );
  const program = builder.build();
  const feed = { x: x.dataSync() as Float32Array };
  assert.deepEqual([...program.run(twice, feed).dx.data], [...program.run(plainly, feed).dx.data]);
  program.close();
});

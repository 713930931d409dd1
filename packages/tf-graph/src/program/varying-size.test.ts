import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VaryingSizeError } from '../ops/varying-size.ts';
import { tf } from '../tensorflow.ts';
import { ProgramBuilder } from './program-builder.ts';

const rows = { shape: [6, 4], dtype: 'float32', varies: true } as const;
const count = { shape: [6], dtype: 'int32', varies: true } as const;

/** Returns the loss and the gradient of w, for any number of fed rows. */
function build(eager = false) {
  const builder = new ProgramBuilder();
  const w = builder.variable({ name: 'w', shape: [4, 3] });
  const table = builder.variable({ name: 'table', shape: [9, 4] });
  const step = builder.function('step', { x: rows, ids: count }, ({ x, ids }) => {
    const lossOf = (w: tf.Tensor) => {
      const y = tf.matMul(tf.add(x, table.gather(ids)) as tf.Tensor2D, w as tf.Tensor2D);
      const split = tf.reshape(y, [y.shape[0]!, 3, 1]);
      const half = tf.slice(tf.reshape(tf.tanh(split), [-1, 3]), [0, 1], [y.shape[0]!, 2]);
      return tf.sum(tf.matMul(half as tf.Tensor2D, half as tf.Tensor2D, true));
    };
    const { value, grads } = tf.valueAndGrads(lossOf)([w.read()]);
    return { value, gradient: grads[0]!, x: tf.mul(x, 2) };
  });
  return { program: eager ? builder.buildEager() : builder.build(), step };
}

const values = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i));

test('a function runs on as many rows as it is fed, and gives what op by op gives', async (t) => {
  const [graph, eager] = [build(), build(true)];
  for (const { program } of [graph, eager])
    await program.write([
      ['w', values(12)],
      ['table', values(36)],
    ]);
  for (const length of [6, 1, 4]) {
    const feeds = { x: values(4 * length), ids: Int32Array.from({ length }, (_, i) => i + 2) };
    const [traced, direct] = [graph, eager].map(({ program, step }) => program.run(step, feeds));
    assert.deepEqual(traced!.x.shape, [length, 4]);
    assert.deepEqual([...traced!.x.data], [...direct!.x.data]);
    for (const name of ['value', 'gradient'] as const)
      for (const [i, number] of traced![name].data.entries())
        assert.ok(Math.abs(number - direct![name].data[i]!) < 1e-5, `${name} of ${length} rows`);
  }
  await t.test('more rows than the most, and inputs of different lengths, are refused', () => {
    const { program, step } = graph;
    const seven = { x: values(28), ids: new Int32Array(7) };
    assert.throws(() => program.run(step, seven), /feed "x" .* first axis of 7 where at most 6 is needed/);
    const uneven = { x: values(8), ids: new Int32Array(3) };
    assert.throws(() => program.run(step, uneven), /feed "ids" .* first axis of 3 where 2 is needed/);
    assert.throws(() => program.run(step, { x: values(9), ids: new Int32Array(2) }), /has 9 elements/);
  });
  for (const { program } of [graph, eager]) program.close();
});

test('what would make a constant of the size that varies is an error while it is traced', () => {
  const faults: [string, (x: tf.Tensor) => tf.Tensor][] = [
    ['zeros', (x) => tf.add(x, tf.zeros(x.shape))],
    ['a range', (x) => tf.mul(x, tf.reshape(tf.range(0, x.shape[0]!), [-1, 1]))],
    ['a slice that begins further on', (x) => tf.slice(x, [1, 0], [x.shape[0]! - 1, 4])],
    ['repeating', (x) => tf.tile(tf.sum(x, 0, true), [x.shape[0]!, 1])],
  ];
  for (const [what, body] of faults) {
    const builder = new ProgramBuilder();
    builder.function('f', { x: rows }, ({ x }) => ({ y: body(x) }));
    assert.throws(() => builder.build(), VaryingSizeError, what);
  }
});

test('where an axis does not vary, no number is mistaken for the varying size', async () => {
  const builder = new ProgramBuilder();
  const size = 80_000;
  const state = builder.variable({ name: 'state', shape: [size] });
  // Some of these start or end at multiples of the prime that represents the varying size.
  const width = 16;
  const f = builder.function('f', { x: rows }, ({ x }) => {
    let sum = tf.sum(x);
    for (let begin = 0; begin < size; begin += width) {
      const part = tf.reshape(tf.slice(state.read(), [begin], [width]), [4, 4]);
      if (begin % 5008 === 0) sum = tf.add(sum, tf.sum(tf.matMul(x as tf.Tensor2D, part as tf.Tensor2D)));
    }
    return { sum };
  });
  const program = builder.build();
  await program.write([['state', new Float32Array(size)]]);
  assert.equal(program.run(f, { x: new Float32Array(8).fill(1) }).sum.data[0], 8);
  program.close();
});

test('a function is prepared before its variables have values, and then runs as one that was not', async () => {
  const [prepared, other] = [build(), build()];
  const preparing = prepared.program.prepare(prepared.step);
  assert.throws(() => prepared.program.close(), /being prepared/);
  await prepared.program.write([['table', values(36)]]);
  await preparing;
  assert.throws(() => prepared.program.read(['w']), /no value yet/, 'nothing was computed');
  const feeds = { x: values(12), ids: Int32Array.of(1, 2, 3) };
  const results = [];
  for (const { program, step } of [prepared, other]) {
    await program.write([
      ['w', values(12)],
      ['table', values(36)],
    ]);
    results.push(program.run(step, feeds));
  }
  assert.deepEqual(results[0], results[1]);
  await assert.rejects(prepared.program.prepare(prepared.step), /would run/);
  prepared.program.close();
  other.program.close();
});

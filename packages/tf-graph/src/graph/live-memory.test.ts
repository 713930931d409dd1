import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withControlDependency } from '../ops/raw-op.ts';
import type { InputTensors } from '../program/program.ts';
import { ProgramBuilder } from '../program/program-builder.ts';
import { tf } from '../tensorflow.ts';
import { tracedAllocations } from '../testing.ts';
import { liveMemory } from './live-memory.ts';
import { recordFunctions } from './recording.ts';

const x = { x: { shape: [256, 256], dtype: 'float32' } } as const;
/** Bytes of a matrix with the shape of x. */
const M = 4 * 256 * 256;

type Body = (given: InputTensors<typeof x>, w: ReturnType<ProgramBuilder['variable']>) => tf.Tensor;

/** Returns the estimate of `liveMemory` for `body`, and the peak that TensorFlow allocated. */
async function walked(body: Body) {
  const builder = new ProgramBuilder();
  const w = builder.variable({ name: 'w', shape: [256, 256] });
  const fn = builder.function('f', x, (given) => ({ y: body(given, w) }));
  const programs: ReturnType<ProgramBuilder['build']>[] = [];
  const [recorded] = await recordFunctions(async () => programs.push(builder.build()));
  const program = programs[0]!;
  try {
    await program.write([['w', new Float32Array(256 * 256)]]);
    const [run] = await tracedAllocations(() => program.run(fn, { x: new Float32Array(256 * 256) }));
    return { ...liveMemory(recorded!), allocated: run!.peak };
  } finally {
    program.close();
  }
}

// The estimate includes fed values, which the session does not allocate.
const cases: [string, number, Body][] = [
  ['a variable that is read is not copied', M, ({ x }, w) => tf.matMul(x, w.read())],
  ['what is computed from one number after the other is one piece', M, ({ x }) => tf.exp(tf.sin(tf.cos(x)))],
  ['another shape is the same memory', M, ({ x }) => tf.reshape(tf.sin(x), [256 * 256])],
  [
    'what somebody still needs is not written over',
    3 * M,
    ({ x }) => {
      const a = tf.matMul(x, x);
      return tf.matMul(tf.sin(a), a);
    },
  ],
  [
    'one after the other',
    3 * M,
    ({ x }) => {
      const a = tf.matMul(tf.transpose(x), x);
      const b = tf.matMul(tf.transpose(withControlDependency(x, a)), x);
      return tf.add(a, b);
    },
  ],
  ['side by side', 4 * M, ({ x }) => tf.addN([tf.cos(x), tf.sin(x), tf.exp(x)].map((y) => tf.matMul(y, x)))],
  [
    'what is computed twice is there once',
    3 * M,
    ({ x }) => tf.matMul(tf.matMul(tf.cos(x), tf.sin(x)), tf.matMul(tf.cos(x), tf.sin(x))),
  ],
  ['a part that is cut off keeps the whole', M, ({ x }) => tf.slice(tf.sin(x), [0, 0], [16, 256])],
];

for (const [name, peak, body] of cases)
  test(`live memory: ${name}`, async () => {
    const { peak: walk, allocated, live } = await walked(body);
    assert.equal(walk - M, peak, `${allocated} allocated`);
    // On a CPU, matrix products use some scratch memory.
    assert.ok(allocated >= peak && allocated < 1.02 * peak, `${allocated} allocated of ${peak}`);
    assert.equal(
      live.reduce((sum, { bytes }) => sum + bytes, 0),
      walk,
    );
  });

test('what is assigned takes the place of what the variable held', async () => {
  const { peak, variables } = await walked(({ x }, w) => {
    w.assign(tf.sin(x));
    return tf.scalar(1);
  });
  assert.deepEqual([peak - M, variables], [M, M]);
});

test('the largest live tensors are named by the nodes that made them', async () => {
  const { live, at } = await walked(({ x }) => tf.matMul(tf.concat([x, x], 1), tf.concat([x, x], 0)));
  assert.deepEqual(
    live.map(({ op, shape }) => [op, ...shape]),
    [
      ['ConcatV2', 256, 512],
      ['ConcatV2', 512, 256],
      ['Placeholder', 256, 256],
      ['BatchMatMulV2', 256, 256],
    ],
  );
  assert.equal(at, live.at(-1)!.node);
});

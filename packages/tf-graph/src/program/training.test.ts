import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { attr } from '../graph/attributes.ts';
import { rawOp } from '../ops/raw-op.ts';
import { binding, tf } from '../tensorflow.ts';
import { type Program, scalarOf } from './program.ts';
import { ProgramBuilder } from './program-builder.ts';

const CLASSES = 3;
const ramp = (length: number, scale: number) =>
  Float32Array.from({ length }, (_, i) => scale * Math.sin(i + 1));

/** A small training program: two layers, dropout from a fed seed, momentum; tfjs derives the gradients. */
function toyTraining(width: number, hidden: number, rows: number) {
  const builder = new ProgramBuilder();
  const shapes = { w1: [width, hidden], w2: [hidden, CLASSES] } as const;
  const state = Object.entries(shapes).map(([name, shape]) => ({
    value: builder.variable({ name, shape }),
    moment: builder.variable({ name: `${name}.moment`, shape }),
  }));
  const batch = {
    x: { shape: [rows, width], dtype: 'float32' },
    labels: { shape: [rows], dtype: 'int32' },
  } as const;
  const step = builder.function(
    'step',
    { ...batch, seed: { shape: [2], dtype: 'int32' }, rate: { shape: [], dtype: 'float32' } },
    ({ x, labels, seed, rate }) => {
      const loss = (w1: tf.Tensor, w2: tf.Tensor) => lossOf(x, labels, w1, w2, seed);
      const { value, grads } = tf.valueAndGrads(loss)(state.map(({ value }) => value.read()));
      state.forEach(({ value, moment }, i) => {
        const next = tf.add(tf.mul(moment.read(), 0.9), grads[i]!);
        moment.assign(next);
        value.assign(tf.sub(value.read(), tf.mul(next, rate)));
      });
      return { loss: value };
    },
  );
  const evaluate = builder.function('evaluate', batch, ({ x, labels }) => ({
    loss: lossOf(x, labels, state[0]!.value.read(), state[1]!.value.read()),
  }));

  function* start(): Generator<[string, Float32Array]> {
    for (const [name, [rows, columns]] of Object.entries(shapes)) {
      yield [name, ramp(rows * columns, 1 / Math.sqrt(rows))];
      yield [`${name}.moment`, new Float32Array(rows * columns)];
    }
  }
  /** Returns training and evaluation losses of five steps from a fixed start. */
  async function losses(program: Program): Promise<number[]> {
    await program.write(start());
    const feeds = {
      x: ramp(rows * width, 1),
      labels: Int32Array.from({ length: rows }, (_, i) => i % CLASSES),
    };
    return Array.from({ length: 5 }).flatMap((_, i) => [
      scalarOf(program.run(step, { ...feeds, seed: Int32Array.of(7, i), rate: Float32Array.of(0.1) }).loss),
      scalarOf(program.run(evaluate, feeds).loss),
    ]);
  }
  return { builder, losses };
}

function lossOf(x: tf.Tensor, labels: tf.Tensor, w1: tf.Tensor, w2: tf.Tensor, seed?: tf.Tensor): tf.Tensor {
  let h = tf.relu(tf.matMul(x, w1));
  if (seed) {
    const shape = tf.tensor1d(h.shape, 'int32');
    const uniform = rawOp('StatelessRandomUniform', [attr.type('dtype', 'float32')], [shape, seed])[0]!;
    h = tf.mul(h, tf.cast(tf.greater(uniform, 0.2), 'float32'));
  }
  const logProbabilities = tf.logSoftmax(tf.matMul(h, w2));
  return tf.neg(tf.mean(tf.sum(tf.mul(logProbabilities, tf.oneHot(labels, CLASSES)), 1)));
}

/** Fingerprints of two rounds in each of two sessions. Wide enough that TensorFlow spreads its products over several threads. */
async function fingerprints(): Promise<string[]> {
  const found: string[] = [];
  for (let session = 0; session < 2; session++) {
    const { builder, losses } = toyTraining(512, 768, 96);
    const program = builder.build();
    for (let round = 0; round < 2; round++) {
      const hash = createHash('sha256').update(Float64Array.from(await losses(program)));
      for (const values of program.read(['w1', 'w2', 'w1.moment', 'w2.moment']).values()) hash.update(values);
      found.push(hash.digest('hex'));
    }
    program.close();
  }
  return found;
}

if (process.argv[2] === 'child') {
  console.log(JSON.stringify(await fingerprints()));
} else {
  test('traced and eager training agree, functions share variables, and the loss falls', async () => {
    const { builder, losses } = toyTraining(6, 8, 4);
    const [graph, eager] = [builder.build(), builder.buildEager()];
    const [traced, direct] = [await losses(graph), await losses(eager)];
    for (const [i, loss] of traced.entries())
      assert.ok(Math.abs(loss - direct[i]!) < 1e-5, `loss ${i}: ${loss}, eagerly ${direct[i]}`);
    assert.ok(traced.at(-1)! < traced[1]!);
    const [a, b] = [graph.read(['w1', 'w2.moment']), eager.read(['w1', 'w2.moment'])];
    for (const [name, values] of a)
      for (const [i, x] of values.entries()) assert.ok(Math.abs(x - b.get(name)![i]!) < 1e-5, name);
    graph.close();
    eager.close();
  });

  test('a program leaves nothing behind', async () => {
    const [tensors, native] = [tf.memory().numTensors, binding.getNumOfTensors()];
    for (const kind of ['build', 'buildEager'] as const) {
      const { builder, losses } = toyTraining(6, 8, 4);
      const program = builder[kind]();
      await losses(program);
      program.close();
    }
    assert.deepEqual([tf.memory().numTensors, binding.getNumOfTensors()], [tensors, native]);
  });

  test('five steps leave the same bits in every session and process with the same number of threads', async () => {
    const child = execFileSync(process.execPath, [...process.execArgv, process.argv[1]!, 'child'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const all = [...(await fingerprints()), ...(JSON.parse(child) as string[])];
    assert.equal(all.length, 8);
    assert.equal(new Set(all).size, 1, all.join('\n'));
  });
}

// A small training program for tests: two layers, dropout from a fed seed, momentum; tfjs derives the gradients.
import { attr } from './attributes.ts';
import type { Program } from './program.ts';
import { ProgramBuilder } from './program-builder.ts';
import { rawOp } from './raw-op.ts';
import { tf } from './tensorflow.ts';

const ramp = (length: number, scale: number) =>
  Float32Array.from({ length }, (_, i) => scale * Math.sin(i + 1));
const CLASSES = 3;

export class ToyTrainer {
  readonly builder = new ProgramBuilder();
  readonly #shapes: [name: string, shape: number[]][];
  readonly #batch: { x: Float32Array; labels: Int32Array };

  constructor(width: number, hidden: number, rows: number) {
    this.#shapes = [
      ['w1', [width, hidden]],
      ['w2', [hidden, CLASSES]],
    ];
    this.#batch = {
      x: ramp(rows * width, 1),
      labels: Int32Array.from({ length: rows }, (_, i) => i % CLASSES),
    };
    const state = this.#shapes.map(([name, shape]) => ({
      value: this.builder.variable({ name, shape }),
      moment: this.builder.variable({ name: `${name}.moment`, shape }),
    }));
    const inputs = {
      x: { shape: [rows, width], dtype: 'float32' },
      labels: { shape: [rows], dtype: 'int32' },
    } as const;
    this.builder.function(
      'step',
      { ...inputs, seed: { shape: [2], dtype: 'int32' }, rate: { shape: [], dtype: 'float32' } },
      ({ x, labels, seed, rate }) => {
        const loss = (w1: tf.Tensor, w2: tf.Tensor) => lossOf(x!, labels!, w1, w2, seed);
        const { value, grads } = tf.valueAndGrads(loss)(state.map(({ value }) => value.read()));
        state.forEach(({ value, moment }, i) => {
          const next = tf.add(tf.mul(moment.read(), 0.9), grads[i]!);
          moment.assign(next);
          value.assign(tf.sub(value.read(), tf.mul(next, rate!)));
        });
        return { loss: value };
      },
    );
    this.builder.function('evaluate', inputs, ({ x, labels }) => ({
      loss: lossOf(x!, labels!, state[0]!.value.read(), state[1]!.value.read()),
    }));
  }

  /** Training and evaluation losses of five steps from a fixed start. */
  async losses(program: Program): Promise<number[]> {
    await program.write(this.#start());
    const found: number[] = [];
    for (let step = 0; step < 5; step++) {
      const feeds = { ...this.#batch, seed: Int32Array.of(7, step), rate: Float32Array.of(0.1) };
      found.push(
        program.run('step', feeds).loss!.data[0]!,
        program.run('evaluate', this.#batch).loss!.data[0]!,
      );
    }
    return found;
  }

  *#start(): Generator<[string, Float32Array]> {
    for (const [name, [rows, columns]] of this.#shapes) {
      yield [name, ramp(rows! * columns!, 1 / Math.sqrt(rows!))];
      yield [`${name}.moment`, new Float32Array(rows! * columns!)];
    }
  }
}

function lossOf(x: tf.Tensor, labels: tf.Tensor, w1: tf.Tensor, w2: tf.Tensor, seed?: tf.Tensor): tf.Scalar {
  let h = tf.relu(tf.matMul(x, w1));
  if (seed) {
    const shape = tf.tensor1d(h.shape, 'int32');
    const uniform = rawOp('StatelessRandomUniform', [attr.type('dtype', 'float32')], [shape, seed])[0]!;
    h = tf.mul(h, tf.cast(tf.greater(uniform, 0.2), 'float32'));
  }
  const logProbabilities = tf.logSoftmax(tf.matMul(h, w2));
  const picked = tf.sum(tf.mul(logProbabilities, tf.oneHot(labels as tf.Tensor1D, CLASSES)), 1);
  return tf.neg(tf.mean(picked)) as tf.Scalar;
}

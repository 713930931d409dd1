import { attr, customGradient, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { originOf, recomputable } from './recompute.ts';

/** A step's random numbers depend on the seed, the micro-step and the place in the model where they are drawn, and on nothing else. */
export interface RandomState {
  /** `(2)` int32: the job's seed and the micro-step. */
  seed: tf.Tensor;
  /** Number of the last draw in the forward pass; set back when a checkpointed block runs again. */
  stream: number;
}

/** The seed `(2)` int32 of the forward pass's next draw. */
export function nextSeed(random: RandomState): tf.Tensor {
  return tf.add(random.seed, tf.tensor1d([Math.imul(++random.stream, 0x9e3779b1) | 0, 0], 'int32'));
}

/** 0 with probability p, else 1/(1 − p): the same for the same seed. Drawn no earlier than `after`. */
export function dropoutMask(shape: number[], p: number, seed: tf.Tensor, after: tf.Tensor): tf.Tensor {
  const attrs = [attr.type('dtype', 'float32'), attr.type('T', 'int32'), attr.type('Tseed', 'int32')];
  const size = tf.tensor1d(shape, 'int32');
  const uniform = rawOp('StatelessRandomUniform', attrs, [size, withControlDependency(seed, after)])[0]!;
  return tf.mul(tf.cast(tf.greaterEqual(uniform, p), 'float32'), 1 / (1 - p));
}

/** Dropout of x with probability p, scaled by 1/(1 − p). The mask is drawn again in the backward pass instead of kept. */
export function dropout(x: tf.Tensor, p: number, random: RandomState): tf.Tensor {
  if (p === 0) return x;
  const { shape } = x;
  const seed = nextSeed(random);
  const dropped = customGradient({
    inputs: { x },
    keep: { seed },
    value: () => tf.mul(x, dropoutMask(shape, p, seed, x)),
    gradient: (dy, { seed }) => ({ x: tf.mul(dy, dropoutMask(shape, p, seed, dy)) }),
  });
  const origin = originOf(x);
  return recomputable(dropped, [seed, ...origin.inputs], (seed, ...inputs) => {
    const x = origin.compute(...inputs);
    return tf.mul(x, dropoutMask(shape, p, seed, x));
  });
}

import { attr, cast, customGradient, rawOp, storageOf, tf, withControlDependency } from '@graft/tf-graph';
import { usesKernels } from './computation.ts';
import { originOf, recomputable } from './recompute.ts';

/** A step's random numbers depend only on the seed, the micro-step and the place in the model where they are drawn. */
export interface RandomState {
  /** `(2)` int32: the job's seed and the micro-step. */
  seed: tf.Tensor;
  /** Number of the last draw in the forward pass; reset when a checkpointed block runs again. */
  stream: number;
}

/** The seed `(2)` int32 of the forward pass's next draw. */
export function nextSeed(random: RandomState): tf.Tensor {
  return tf.add(random.seed, tf.tensor1d([Math.imul(++random.stream, 0x9e3779b1) | 0, 0], 'int32'));
}

/** The empty seed, for a kernel without dropout. */
export const noSeed = (): tf.Tensor => tf.tensor1d([], 'int32');

/** 0 with probability p, else 1/(1 − p); deterministic for a seed. Not drawn before `after`. */
export function dropoutMask(shape: number[], p: number, seed: tf.Tensor, after: tf.Tensor): tf.Tensor {
  const attrs = [attr.type('dtype', 'float32'), attr.type('T', 'int32'), attr.type('Tseed', 'int32')];
  const size = tf.tensor1d(shape, 'int32');
  const uniform = rawOp('StatelessRandomUniform', attrs, [size, withControlDependency(seed, after)])[0]!;
  return tf.mul(tf.cast(tf.greaterEqual(uniform, p), 'float32'), 1 / (1 - p));
}

/** Dropout of x with probability p, scaled by 1/(1 − p). The mask is not kept: the backward pass draws it again. */
export function dropout(x: tf.Tensor, p: number, random: RandomState): tf.Tensor {
  return p === 0 ? x : droppedBy(nextSeed(random), x, p);
}

/** Dropout with the mask of a seed `(2)` int32. */
export function droppedBy(seed: tf.Tensor, x: tf.Tensor, p: number): tf.Tensor {
  const dropped = customGradient({
    inputs: { x },
    keep: { seed },
    value: () => masked(x, p, seed),
    gradient: (dy, { seed }) => ({ x: masked(dy, p, seed) }),
  });
  const origin = originOf(x);
  return recomputable(dropped, [seed, ...origin.inputs], (seed, ...inputs) =>
    masked(origin.compute(...inputs), p, seed),
  );
}

/** The kernel draws the same numbers as `dropoutMask`. */
function masked(x: tf.Tensor, p: number, seed: tf.Tensor): tf.Tensor {
  if (!usesKernels()) return cast(tf.mul(x, dropoutMask(x.shape, p, seed, x)), storageOf(x));
  return rawOp('GraftDropout', [attr.float('probability', p)], [x, seed])[0]!;
}

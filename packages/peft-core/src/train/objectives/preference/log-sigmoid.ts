import { customGradient, tf } from '@graft/tf-graph';

/** log σ(x), also where σ(x) is 0 in float32. */
export const logSigmoid = (x: tf.Tensor): tf.Tensor =>
  customGradient({
    inputs: { x },
    keep: { x },
    value: () => tf.sub(tf.minimum(x, 0), tf.log1p(tf.exp(tf.neg(tf.abs(x))))),
    gradient: (dy, { x }) => ({ x: tf.mul(dy, tf.sigmoid(tf.neg(x))) }),
  });

/** Largest argument of log1mexp: at 0 it is infinite. */
const NEXT_TO_ZERO = -1e-7;

/** log(1 − eˣ) for x < 0. */
export const log1mexp = (given: tf.Tensor): tf.Tensor =>
  customGradient({
    inputs: { given },
    keep: { given },
    value: () => tf.log(tf.neg(tf.expm1(tf.minimum(given, NEXT_TO_ZERO)))),
    gradient: (dy, { given }) => ({
      given: tf.neg(tf.div(dy, tf.expm1(tf.neg(tf.minimum(given, NEXT_TO_ZERO))))),
    }),
  });

/** x as a constant: no gradient flows to what it is computed from. */
export const detached = (x: tf.Tensor): tf.Tensor =>
  customGradient({ inputs: { x }, keep: {}, value: () => x, gradient: () => ({ x: null }) });

import { attr, cast, customGradient, rawOp, storageOf, tf, withControlDependency } from '@graft/tf-graph';
import { type Columns, separate } from './columns.ts';
import { exactly, flowing, usesKernels } from './computation.ts';
import { recomputable } from './recompute.ts';

type Elementwise = (x: tf.Tensor) => tf.Tensor;

interface Curve {
  value: Elementwise;
  slope: Elementwise;
  /** Its name in `GraftActivation`. */
  kernel: string;
}

const above = (x: tf.Tensor, bound: number) => tf.cast(tf.greater(x, bound), 'float32');

const silu = (factor: number, kernel: string): Curve => {
  const scaled: Elementwise = factor === 1 ? (x) => x : (x) => tf.mul(x, factor);
  return {
    kernel,
    value: (x) => tf.mul(x, tf.sigmoid(scaled(x))),
    slope(x) {
      const s = tf.sigmoid(scaled(x));
      return tf.mul(s, tf.add(1, tf.mul(scaled(x), tf.sub(1, s))));
    },
  };
};

/** x · Φ(x), with the standard normal distribution function Φ. Source: Hendrycks and Gimpel 2016, arXiv:1606.08415. */
const normalShare = (x: tf.Tensor) => tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
const gelu: Curve = {
  kernel: 'gelu',
  value: (x) => tf.mul(x, normalShare(x)),
  slope(x) {
    const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return tf.add(normalShare(x), tf.mul(x, density));
  },
};

/** The tanh approximation of GELU: transformers' gelu_new. */
const geluTanh: Curve = {
  kernel: 'gelu_tanh',
  value: (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(cubic(x)), 1)),
  slope(x) {
    const t = tf.tanh(cubic(x));
    const inner = tf.mul(tf.add(tf.mul(tf.square(x), 3 * CUBE), 1), ROOT);
    const bend = tf.mul(tf.mul(tf.mul(x, 0.5), tf.sub(1, tf.square(t))), inner);
    return tf.add(tf.mul(tf.add(t, 1), 0.5), bend);
  },
};
const ROOT = Math.sqrt(2 / Math.PI);
const CUBE = 0.044715;
const cubic = (x: tf.Tensor) => tf.mul(tf.mul(x, tf.add(tf.mul(tf.square(x), CUBE), 1)), ROOT);

const leak = 0.01;
const sigmoid: Curve = {
  kernel: 'sigmoid',
  value: (x) => tf.sigmoid(x),
  slope(x) {
    const s = tf.sigmoid(x);
    return tf.mul(s, tf.sub(1, s));
  },
};

/** The activation functions by Hugging Face's names (transformers, activations.py ACT2FN). */
const curves = {
  relu: { kernel: 'relu', value: (x) => tf.relu(x), slope: (x) => above(x, 0) },
  leaky_relu: {
    kernel: 'leaky_relu',
    value: (x) => tf.maximum(x, tf.mul(x, leak)),
    slope: (x) => tf.add(tf.mul(above(x, 0), 1 - leak), leak),
  },
  gelu,
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  quick_gelu: silu(1.702, 'quick_gelu'),
  silu: silu(1, 'silu'),
  swish: silu(1, 'silu'),
  tanh: { kernel: 'tanh', value: (x) => tf.tanh(x), slope: (x) => tf.sub(1, tf.square(tf.tanh(x))) },
  sigmoid,
  linear: null,
} as const satisfies Record<string, Curve | null>;

export type ActivationName = keyof typeof curves;

/** Returns the elementwise function with this name. For the backward pass it keeps only its input. */
export function activation(name: ActivationName): Elementwise {
  const curve: Curve | null = curves[name];
  if (!curve) return (x) => x;
  return (x) => (usesKernels() ? bentByKernel(curve, flowing(x)) : bentByStockOps(curve, x));
}

/** Computes in float32; the result and the gradient are stored in x's type. */
function bentByStockOps({ value, slope }: Curve, x: tf.Tensor): tf.Tensor {
  const stored = storageOf(x);
  const bent = (x: tf.Tensor) => cast(value(exactly(x)), stored);
  const y = customGradient({
    inputs: { x },
    keep: { x },
    value: () => bent(x),
    gradient: (dy, { x }) => ({ x: cast(tf.mul(dy, slope(exactly(withControlDependency(x, dy)))), stored) }),
  });
  return recomputable(y, [x], bent);
}

function bentByKernel({ kernel }: Curve, x: tf.Tensor): tf.Tensor {
  const attributes = [attr.string('curve', kernel)];
  const value = (x: tf.Tensor) => rawOp('GraftActivation', attributes, [x])[0]!;
  const y = customGradient({
    inputs: { x },
    keep: { x },
    value: () => value(x),
    gradient: (dy, { x }) => ({
      x: rawOp('GraftActivationGradient', attributes, [flowing(dy), withControlDependency(x, dy)])[0]!,
    }),
  });
  return recomputable(y, [x], value);
}

/**
 * Returns `f(gate) · up` `(N, I)`, where f is the activation with this name: the middle of a gated feed-forward network.
 * `gateAndUp`: gate and up, `(N, I)` each, or both side by side in one matrix. Keeps its inputs and recomputes f for the gradient.
 */
export function gatedProduct(name: ActivationName, gateAndUp: Columns): tf.Tensor {
  const curve: Curve | null = curves[name];
  if (curve && usesKernels()) return gatedByKernel(curve, gateAndUp);
  const half = gateAndUp[0]!.shape[1]! / 2;
  const [gate, up] = separate(gateAndUp, [half, half]) as [tf.Tensor, tf.Tensor];
  return curve ? gatedByStockOps(curve, gate, up) : flowing(tf.mul(gate, up));
}

function gatedByKernel({ kernel }: Curve, gateAndUp: Columns): tf.Tensor {
  const attributes = [attr.string('curve', kernel)];
  const parts = gateAndUp.map(flowing);
  const product = (...parts: tf.Tensor[]) => rawOp('GraftGatedProduct', attributes, parts)[0]!;
  const y = customGradient({
    inputs: { parts },
    keep: { parts },
    value: () => product(...parts),
    gradient: (dy, { parts: [first, ...rest] }) => ({
      parts: rawOp('GraftGatedProductGradient', attributes, [
        flowing(dy),
        withControlDependency(first!, dy),
        ...rest,
      ]),
    }),
  });
  return recomputable(y, parts, product);
}

/** Computes in float32; the results are stored in the gate's type. */
function gatedByStockOps({ value, slope }: Curve, gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  const stored = storageOf(gate);
  const product = (gate: tf.Tensor, up: tf.Tensor) => cast(tf.mul(value(exactly(gate)), up), stored);
  const y = customGradient({
    inputs: { gate, up },
    keep: { gate, up },
    value: () => product(gate, up),
    gradient(dy, kept) {
      const exact = exactly(dy);
      const dUp = cast(tf.mul(exact, value(exactly(withControlDependency(kept.gate, dy)))), stored);
      // Sequentially: in float32 each of these tensors has the network's full width, and only one needs to be in memory.
      const after = stored === 'float32' ? dy : dUp;
      const [gate, up] = [kept.gate, kept.up].map((x) => exactly(withControlDependency(x, after))) as [
        tf.Tensor,
        tf.Tensor,
      ];
      return { gate: cast(tf.mul(tf.mul(exact, up), slope(gate)), stored), up: dUp };
    },
  });
  return recomputable(y, [gate, up], product);
}

import {
  attr,
  cast,
  customGradient,
  rawOp,
  storageOf,
  tf,
  withControlDependency,
  withNestedGradients,
} from '@graft/tf-graph';
import { exactly, flowing, usesKernels } from '../computation.ts';
import { recomputable } from '../recompute.ts';

/** Which earlier positions a convolution reads. */
export interface NearbyPositions {
  /** `(R · T)` int32: the number of each position's sequence within its row, 0 for padding. */
  segments: tf.Tensor;
  /**
   * For each distance d from 1 on, `(R · T, 1)` float32: 1 where the position d before is of the same segment. Null where a kernel
   * computes.
   */
  masks: readonly tf.Tensor[] | null;
}

/**
 * The positions before each that a convolution of `width` positions reads. segments `(R · T)` int32, 0 for padding. `byKernel`: whether a
 * kernel computes it.
 */
export function nearbyPositions(
  segments: tf.Tensor,
  rows: number,
  width: number,
  byKernel = usesKernels(),
): NearbyPositions {
  if (byKernel) return { segments, masks: null };
  const tokens = segments.shape[0]! / rows;
  // From 1 on, so that no position is of the same segment as the zeros before a row.
  const numbers = tf.reshape(tf.add(tf.cast(segments, 'float32'), 1), [rows * tokens, 1]);
  const masks = Array.from({ length: width - 1 }, (_, i) =>
    tf.cast(tf.equal(numbers, moved(numbers, i + 1, rows)), 'float32'),
  );
  return { segments, masks };
}

/** A convolution with a group for each channel, as PyTorch's Conv1d. */
export interface ConvolutionWeights {
  /** `(W, 1, width)` */
  weight: tf.Tensor;
  /** `(W)` */
  bias?: tf.Tensor;
  /** True where the weights get a gradient. */
  isTrained: boolean;
}

/** Checks whether a kernel computes a convolution: there is none with a bias. */
export const convolvesByKernel = (hasBias: boolean): boolean => usesKernels() && !hasBias;

/**
 * A causal convolution of each channel, then SiLU: `silu(bias + Σ_d w[·, width − 1 − d] · x[t − d])` over the positions of t's segment.
 * x `(R · T, W)`. Keeps x.
 */
export function causalConvolution(
  x: tf.Tensor,
  { weight, bias, isTrained }: ConvolutionWeights,
  { segments, masks: nearby }: NearbyPositions,
  rows: number,
): tf.Tensor {
  if (!nearby) return convolutionByKernel(x, weight, segments, rows, isTrained);
  const stored = storageOf(x);
  const sumOf = (x: tf.Tensor, columns: tf.Tensor[], nearby: readonly tf.Tensor[], bias?: tf.Tensor) => {
    const sum = weightedSum(x, columns, nearby, rows);
    return bias ? tf.add(sum, bias) : sum;
  };
  const value = (x: tf.Tensor, weight: tf.Tensor, ...others: tf.Tensor[]) => {
    const [own, nearby] = bias ? [others[0], others.slice(1)] : [undefined, others];
    return withNestedGradients(() => cast(silu(sumOf(exactly(x), columnsOf(weight), nearby, own)), stored));
  };
  const others = bias ? [bias, ...nearby] : nearby;
  const y = customGradient({
    inputs: { x, weight, bias },
    keep: { x, weight, bias, nearby },
    value: () => value(x, weight, ...others),
    gradient(dy, { x, weight, bias, nearby }) {
      const exact = exactly(withControlDependency(x, dy));
      const columns = columnsOf(weight);
      const sum = sumOf(exact, columns, nearby, bias);
      const share = tf.sigmoid(sum);
      const dSum = tf.mul(exactly(dy), tf.mul(share, tf.add(tf.mul(sum, tf.sub(1, share)), 1)));
      const dx = columns
        .map((column, distance) => {
          const part = tf.mul(dSum, column);
          return distance === 0 ? part : moved(tf.mul(part, nearby[distance - 1]!), -distance, rows);
        })
        .reduce((a, b) => tf.add(a, b));
      const dColumns = () =>
        columns.map((_, distance) => tf.sum(tf.mul(dSum, before(exact, distance, nearby, rows)), 0, true));
      return {
        x: cast(dx, stored),
        weight: isTrained ? tf.reshape(tf.transpose(tf.concat(dColumns().reverse(), 0)), weight.shape) : null,
        bias: isTrained && bias ? tf.sum(dSum, 0) : null,
      };
    },
  });
  return recomputable(y, [x, weight, ...others], value);
}

function convolutionByKernel(
  x: tf.Tensor,
  weight: tf.Tensor,
  segments: tf.Tensor,
  rows: number,
  isTrained: boolean,
): tf.Tensor {
  const value = (x: tf.Tensor, weight: tf.Tensor, segments: tf.Tensor) =>
    kernel(x, weight, segments, rows, tf.zeros([0, 1]));
  const y = customGradient({
    inputs: { x, weight },
    keep: { x, weight, segments },
    value: () => value(x, weight, segments),
    gradient(dy, { x, weight, segments }) {
      const inputs = [flowing(dy), flowing(x), byDistance(weight), segments];
      const [dx, dw] = rawOp('GraftCausalConvolutionGradient', [attr.int('rows', rows)], inputs);
      return { x: dx!, weight: isTrained ? tf.reshape(dw!, weight.shape) : null };
    },
  });
  return recomputable(y, [x, weight, segments], value);
}

/** `earlier` `(R, (width − 1) · W)`: the inputs before each row; without rows: each row starts a segment. */
function kernel(
  x: tf.Tensor,
  weight: tf.Tensor,
  segments: tf.Tensor,
  rows: number,
  earlier: tf.Tensor,
): tf.Tensor {
  const inputs = [flowing(x), byDistance(weight), segments, earlier];
  return rawOp('GraftCausalConvolution', [attr.int('rows', rows)], inputs)[0]!;
}

/** A weight `(W, 1, width)` as `(W, width)`. */
const byDistance = (weight: tf.Tensor) => tf.reshape(exactly(weight), [weight.shape[0]!, weight.shape[2]!]);

const silu = (x: tf.Tensor) => tf.mul(x, tf.sigmoid(x));

/** The weights `(1, W)` of each distance, from 0 on. */
function columnsOf(weight: tf.Tensor): tf.Tensor[] {
  const [channels, , width] = weight.shape as [number, number, number];
  return tf.split(tf.transpose(tf.reshape(exactly(weight), [channels, width])), width, 0).reverse();
}

/** The inputs `distance` positions before, 0 where there are none of the same segment. */
function before(x: tf.Tensor, distance: number, nearby: readonly tf.Tensor[], rows: number): tf.Tensor {
  return distance === 0 ? x : tf.mul(moved(x, distance, rows), nearby[distance - 1]!);
}

/** `Σ_d columns[d] · x[t − d]`. */
function weightedSum(
  x: tf.Tensor,
  columns: readonly tf.Tensor[],
  nearby: readonly tf.Tensor[],
  rows: number,
): tf.Tensor {
  return columns
    .map((column, distance) => tf.mul(before(x, distance, nearby, rows), column))
    .reduce((a, b) => tf.add(a, b));
}

/**
 * The same for rows that continue a sequence each: x `(R · T, W)` after `before` `(R, width − 1, W)`, the inputs of the positions before.
 * `used` `(R · T)` int32: 1 at the positions of the sequence; the outputs at others, where it is 0, have no meaning. No gradient flows.
 */
export function continuedConvolution(
  x: tf.Tensor,
  { weight, bias }: Pick<ConvolutionWeights, 'weight' | 'bias'>,
  before: tf.Tensor,
  used: tf.Tensor,
): tf.Tensor {
  const [channels, , width] = weight.shape as [number, number, number];
  const rows = before.shape[0]!;
  if (convolvesByKernel(bias !== undefined))
    return kernel(x, weight, used, rows, tf.reshape(before, [rows, (width - 1) * channels]));
  const tokens = x.shape[0]! / rows;
  const all = tf.concat([before, tf.reshape(exactly(x), [rows, tokens, channels])], 1);
  const terms = columnsOf(weight).map((column, distance) => {
    const part = tf.slice(all, [0, width - 1 - distance, 0], [rows, tokens, channels]);
    return tf.mul(tf.reshape(part, [rows * tokens, channels]), column);
  });
  const sum = terms.reduce((a, b) => tf.add(a, b));
  return cast(silu(bias ? tf.add(sum, bias) : sum), storageOf(x));
}

/** x `(R · T, W)` moved by `distance` positions, to later ones if positive, with zeros where a row has none. */
function moved(x: tf.Tensor, distance: number, rows: number): tf.Tensor {
  const [positions, width] = x.shape as [number, number];
  const tokens = positions / rows;
  const far = Math.min(Math.abs(distance), tokens);
  const zeros = tf.zeros([rows, far, width]);
  if (far === tokens) return tf.reshape(zeros, [positions, width]);
  const byRow = tf.reshape(x, [rows, tokens, width]);
  const part = tf.slice(byRow, [0, distance > 0 ? 0 : far, 0], [rows, tokens - far, width]);
  return tf.reshape(tf.concat(distance > 0 ? [zeros, part] : [part, zeros], 1), [positions, width]);
}

import { customGradient, tf } from '@graft/tf-graph';
import { exactly, flowing } from '../../nn/computation.ts';
import { dropout } from '../../nn/dropout.ts';
import { trainedProduct } from '../../nn/linear.ts';
import { flowingSum } from '../../nn/residual.ts';
import { withBias } from '../../nn/scaled-columns.ts';
import { weightValue } from '../../nn/weight.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { constant, drawn, uniform } from '../attach/start-values.ts';
import { matrixTuner } from '../matrices/attachment.ts';
import { changedProduct } from '../matrices/changed-product.ts';
import type { MatrixTarget } from '../matrices/targets.ts';
import type { LinearWrapper, Merge } from '../tuner.ts';
import { type MissConfig, missBlock, missMethod } from './method.ts';

/** MiSS: one small matrix shared by the blocks of a weight. Options, names and start values follow peft's MissConfig. */
export const missTuner = matrixTuner(
  missMethod,
  (target, config) => {
    const { init_weights: init } = config;
    const block = missBlock(target, config);
    const length = elementCount(block.shape);
    const start = init === false ? drawn(length, uniform(target.out)) : constant(length, 0);
    const byBlocks = init === 'bat';
    return {
      parameters: [{ ...block, init: start }],
      linear: byBlocks ? multiplied(block.name, target, config) : added(block.name, target, config),
      merge: byBlocks ? mergedByBlocks(block.name, target, config) : mergedSum(block.name, target, config),
    };
  },
  ({ init_weights: init }) => (init === 'bat' ? [] : ['miss_dropout']),
);

/**
 * `base(x) + s M`, where s `(N, r)` is the sum of the blocks of dropout(x), and M `(r, out)`, or `(r, mini_r)` side by side.
 * Source: Kang et al. 2024, arXiv:2409.15371; peft, tuners/miss/layer.py (MissLinear.forward).
 */
function added(
  name: string,
  { out }: MatrixTarget,
  { r, miss_dropout: probability }: MissConfig,
): LinearWrapper {
  return ({ parameter, random }, x, base) => {
    const input = random ? dropout(x, probability, random) : x;
    const update = trainedProduct(blockSums(input, r), parameter(name), true);
    return flowingSum(base(x), update.shape[1] === out ? update : repeatedColumns(update, out));
  };
}

/** `x W'ᵀ + bias`, where each r × r block of W is `W_oi (1 + M_o) + M_o`, with M `(out / r, r, r)`. */
function multiplied(name: string, { width, out }: MatrixTarget, { r }: MissConfig): LinearWrapper {
  const [rows, columns] = [out / r, width / r];
  const change = (w: tf.Tensor, m: tf.Tensor) => {
    const blocks = tf.reshape(w, [rows, r * columns, r]);
    const products = tf.reshape(tf.add(blocks, tf.matMul(blocks, m)), [rows, r, columns, r]);
    return tf.reshape(tf.add(products, tf.reshape(m, [rows, r, 1, r])), [out, width]);
  };
  return ({ parameter }, x, _base, { weight, bias }) => {
    const product = changedProduct(x, weight, [parameter(name)], change);
    return bias ? withBias(product, weightValue(bias), bias.kind !== 'frozen') : product;
  };
}

/** The weight `(out, in)` plus M, whose element for output o and input i is that of column o (or o % mini_r) and row i % r. */
function mergedSum(name: string, { width }: MatrixTarget, { r, mini_r, init_weights }: MissConfig): Merge {
  return (weight, adapter) => {
    const m = adapter(name);
    const columns = init_weights === 'mini' ? mini_r : m.length / r;
    return weight.map((value, at) => {
      const [o, i] = [Math.floor(at / width), at % width];
      return value + m[(i % r) * columns + (o % columns)]!;
    });
  };
}

function mergedByBlocks(name: string, { width, out }: MatrixTarget, { r }: MissConfig): Merge {
  return (weight, adapter) => {
    const m = adapter(name);
    const merged = new Float32Array(weight.length);
    for (let o = 0; o < out; o++) {
      const block = Math.floor(o / r) * r * r;
      const own = block + (o % r) * r;
      for (let start = o * width; start < (o + 1) * width; start += r)
        for (let j = 0; j < r; j++) {
          let sum = weight[start + j]! + m[own + j]!;
          for (let k = 0; k < r; k++) sum += weight[start + k]! * m[block + k * r + j]!;
          merged[start + j] = sum;
        }
    }
    return merged;
  };
}

/** The sum `(N, size)` of the blocks of `size` columns of x `(N, W)`; the last block may be shorter. In float32. Keeps nothing. */
export function blockSums(x: tf.Tensor, size: number): tf.Tensor {
  const width = x.shape[1]!;
  return customGradient({
    inputs: { x },
    keep: {},
    value: () => summed(x, size),
    gradient: (dy) => ({ x: repeated(dy, width) }),
  });
}

/** y `(N, size)` repeated side by side, up to `width` columns. Keeps nothing. */
export function repeatedColumns(y: tf.Tensor, width: number): tf.Tensor {
  const size = y.shape[1]!;
  return customGradient({
    inputs: { y },
    keep: {},
    value: () => repeated(y, width),
    gradient: (dy) => ({ y: summed(dy, size) }),
  });
}

function summed(x: tf.Tensor, size: number): tf.Tensor {
  const width = x.shape[1]!;
  const whole = width - (width % size);
  const blocks = tf.sum(tf.reshape(tf.slice(exactly(x), [0, 0], [-1, whole]), [-1, whole / size, size]), 1);
  if (whole === width) return blocks;
  const rest = tf.slice(exactly(x), [0, whole], [-1, -1]);
  return tf.add(
    blocks,
    tf.pad(rest, [
      [0, 0],
      [0, size - (width - whole)],
    ]),
  );
}

function repeated(y: tf.Tensor, width: number): tf.Tensor {
  const size = y.shape[1]!;
  const tiled = tf.tile(y, [1, Math.ceil(width / size)]);
  return flowing(width % size === 0 ? tiled : tf.slice(tiled, [0, 0], [-1, width]));
}

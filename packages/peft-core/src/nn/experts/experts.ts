import { attr, cast, customGradient, rawOp, storageOf, tf, withControlDependency } from '@graft/tf-graph';
import type { Columns } from '../columns.ts';
import { computesRowByRow, exactly, flowing, flowType, usesKernels } from '../computation.ts';
import { matmul } from '../matmul.ts';
import { originOf, restore } from '../recompute.ts';
import { type MatrixRows, matrixRows, type Weight, weightShape, weightValue } from '../weight.ts';
import { type ExpertBlocks, expertBlocks, indicator, productOfBlocks } from './expert-blocks.ts';

export interface Routing {
  /** E. */
  experts: number;
  /** k: the number of experts of each token. */
  chosen: number;
  /** The weights of a token's experts sum up to 1. */
  normalised: boolean;
}

/** The experts of N tokens. */
export interface Choice {
  /** E. */
  count: number;
  /** `(N, k)` int32: the experts of each token, the most probable first. */
  experts: tf.Tensor;
  /** `(N, k)` float32, with the gradient of the router's logits. */
  weights: tf.Tensor;
  /** For stock operations. */
  blocks: ExpertBlocks | null;
}

/**
 * The k most probable experts of each token by the router's logits `(N, E)`. Probabilities are computed in float32.
 * As in transformers' routers.
 */
export function chooseExperts(logits: tf.Tensor, { experts: E, chosen: k, normalised }: Routing): Choice {
  const { parts, total } = partsOf(exactly(logits));
  const experts = rawOp('TopKV2', [], [parts, tf.scalar(k, 'int32')])[1]!;
  const own = tf.sum(tf.mul(indicator(experts, E), tf.expandDims(parts, 1)), 2); // (N, k)
  return {
    count: E,
    experts,
    weights: tf.div(own, normalised ? rowSums(own) : total),
    blocks: usesKernels() ? null : expertBlocks(experts, E),
  };
}

/** Floats in the widest vector register. TensorFlow computes what is left of a tensor after whole vectors by another function. */
const LANES = 16;

/**
 * Probabilities of logits `(N, E)` times `total` `(N, 1)`. Where each row must be computed alone, rows are whole vectors, and functions
 * of single numbers are left out.
 */
function partsOf(logits: tf.Tensor): { parts: tf.Tensor; total: tf.Tensor } {
  const E = logits.shape[1]!;
  if (!computesRowByRow()) return { parts: tf.softmax(logits), total: tf.scalar(1) };
  const missing = (LANES - (E % LANES)) % LANES;
  const margins = [
    [0, 0],
    [0, missing],
  ] as [number, number][];
  const below = tf.pad(tf.sub(logits, tf.max(logits, 1, true)), margins, -100);
  const parts = tf.slice(tf.exp(below), [0, 0], [-1, E]);
  return { parts, total: rowSums(parts) };
}

/** The sums `(N, 1)` of the rows of x `(N, M)`. */
const rowSums = (x: tf.Tensor): tf.Tensor =>
  computesRowByRow() ? matmul(x, tf.ones([x.shape[1]!, 1])) : tf.sum(x, 1, true);

/**
 * Multiplies x by the matrices of each token's experts: W `(E, R, in)`, x `(N, in)` or, with a row for each expert of a token, `(N, k · in)`.
 * Returns `parts` tensors `(N, k · R / parts)`, one for each part of W's rows. A frozen W gets no gradient, and the backward pass reads it
 * again instead of keeping it.
 */
export function expertColumns(x: tf.Tensor, weight: Weight, choice: Choice, parts = 1): tf.Tensor[] {
  if (weight.kind === 'rows') throw new Error('a stack of matrices has no rows of tokens');
  if (weight.kind === 'trained') return trainedColumns(x, weight.tensor, choice, parts);
  const [, rows, width] = weightShape(weight) as [number, number, number];
  const read = (after: tf.Tensor) => weightValue(weight, after);
  const times = (x: tf.Tensor, experts: tf.Tensor, of: MatrixRows) =>
    weight.expertProduct?.(flowing(x), experts, of) ?? product(x, experts, read(x), of);
  const { blocks } = choice;
  if (blocks) return split(productOfBlocks(x, width, read, blocks), choice, parts);
  const count = rows / parts;
  return Array.from({ length: parts }, (_, i) =>
    customGradient({
      inputs: { x },
      keep: { experts: choice.experts },
      value: () => times(x, choice.experts, { first: i * count, count, reversed: false }),
      gradient: (dy, { experts }) => ({
        x: toInput(x, times(dy, experts, { first: i * count, count, reversed: true }), experts),
      }),
    }),
  );
}

/** `expertColumns` with gradients for x and W `(E, R, in)`. */
function trainedColumns(x: tf.Tensor, w: tf.Tensor, choice: Choice, parts: number): tf.Tensor[] {
  const [count, rows, width] = w.shape as [number, number, number];
  const { blocks } = choice;
  if (blocks) return split(productOfBlocks(x, width, w, blocks), choice, parts);
  const each = parts === 1 ? [w] : tf.split(w, parts, 1);
  const whole = { first: 0, count: rows / parts };
  return each.map((w) => {
    const origin = originOf(x);
    return customGradient({
      inputs: { x, w },
      keep: { w, experts: choice.experts, origin: origin.inputs },
      value: () => product(x, choice.experts, w, { ...whole, reversed: false }),
      gradient(dy, { w, experts, origin: kept }) {
        const attributes = [attr.int('count', count), attr.int('width', width)];
        const rows = [flowing(dy), flowing(restore(origin, kept, dy)), experts];
        const dw = rawOp('GraftExpertGradient', attributes, rows)[0]!;
        const each = product(withControlDependency(dy, dw), experts, w, { ...whole, reversed: true });
        return { x: toInput(x, each, experts), w: dw };
      },
    });
  });
}

const product = (x: tf.Tensor, experts: tf.Tensor, w: tf.Tensor, rows: MatrixRows): tf.Tensor =>
  rawOp('GraftExpertProduct', matrixRows(rows), [flowing(x), experts, cast(w, flowType())])[0]!;

/** The gradient of x from that of each of its experts' products, `each` `(N, k · in)`. */
function toInput(x: tf.Tensor, each: tf.Tensor, experts: tf.Tensor): tf.Tensor {
  const chosen = experts.shape[1]!;
  if (each.shape[1] === x.shape[1]) return each;
  return cast(tf.sum(tf.reshape(exactly(each), [-1, chosen, x.shape[1]!]), 1), storageOf(each));
}

/** Splits y `(N · k, R)` into parts `(N, k · R / parts)`. */
function split(y: tf.Tensor, { experts }: Choice, parts: number): tf.Tensor[] {
  const [tokens, chosen] = experts.shape as [number, number];
  const each = parts === 1 ? [y] : tf.split(y, parts, 1);
  return each.map((part) => tf.reshape(part, [tokens, (chosen * y.shape[1]!) / parts]));
}

/** A low-rank update of a stack of matrices: A `(E, r, in)` and B `(E, R, r)`. */
export interface ExpertUpdate {
  a: tf.Tensor;
  b: tf.Tensor;
  scale: number;
}

/** `expertColumns`, plus `scale · (x A[e]ᵀ) B[e]ᵀ`. */
export function updatedExpertColumns(
  x: tf.Tensor,
  weight: Weight,
  update: ExpertUpdate | null,
  choice: Choice,
  parts = 1,
): Columns {
  const base = expertColumns(x, weight, choice, parts);
  if (!update) return base;
  const [down] = trainedColumns(x, update.a, choice, 1); // (N, k · r)
  const added = trainedColumns(flowing(tf.mul(down!, update.scale)), update.b, choice, parts);
  return base.map((own, i) => flowing(tf.add(own, added[i]!)));
}

/** The sum `(N, H)` of the outputs of each token's experts, y `(N, k · H)`, times their weights. */
export function joinExperts(y: tf.Tensor, { weights }: Choice): tf.Tensor {
  const chosen = weights.shape[1]!;
  const H = y.shape[1]! / chosen;
  const each = (y: tf.Tensor) => tf.reshape(exactly(y), [-1, chosen, H]);
  return customGradient({
    inputs: { y, weights },
    keep: { y, weights },
    value: () =>
      computesRowByRow()
        ? inOrder(y, weights)
        : flowing(tf.sum(tf.mul(each(y), tf.expandDims(weights, 2)), 1)),
    gradient(dy, kept) {
      const wide = tf.expandDims(exactly(dy), 1); // (N, 1, H)
      const dWeights = tf.sum(tf.mul(each(withControlDependency(kept.y, dy)), wide), 2);
      const dEach = tf.mul(wide, tf.expandDims(kept.weights, 2)); // (N, k, H)
      return { y: flowing(tf.reshape(dEach, [-1, chosen * H])), weights: dWeights };
    },
  });
}

/** The same sum, added in the order of the experts whatever the number of tokens. */
function inOrder(y: tf.Tensor, weights: tf.Tensor): tf.Tensor {
  const chosen = weights.shape[1]!;
  const [outputs, factors] = [tf.split(y, chosen, 1), tf.split(weights, chosen, 1)];
  return outputs.map((output, j) => tf.mul(output, factors[j]!)).reduce((sum, each) => tf.add(sum, each));
}

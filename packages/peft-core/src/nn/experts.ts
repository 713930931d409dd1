import { customGradient, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { exactly, flowing, productType, usesKernels } from './computation.ts';
import { flowingMatmul, matmul } from './matmul.ts';
import { originOf, restore } from './recompute.ts';
import { type Weight, weightShape, weightValue } from './weight.ts';

/** How tokens choose experts. */
export interface Routing {
  /** E. */
  experts: number;
  /** k: the number of experts of each token. */
  chosen: number;
  /** The weights of a token's experts sum up to 1. */
  normalised: boolean;
}

/** The experts of N tokens, and their weights. */
export interface Choice {
  /** `(N · k)` int32: the experts of each token, the most probable first. */
  experts: tf.Tensor;
  /** `(N, k)` float32, with the gradient of the router's logits. */
  weights: tf.Tensor;
}

/**
 * The k most probable experts of each token by the router's logits `(N, E)`. Probabilities are computed in float32.
 * Source: transformers, models/qwen3_moe/modeling_qwen3_moe.py (Qwen3MoeTopKRouter.forward).
 */
export function chooseExperts(logits: tf.Tensor, { experts: E, chosen: k, normalised }: Routing): Choice {
  const N = logits.shape[0]!;
  const probabilities = tf.softmax(exactly(logits)) as tf.Tensor2D; // (N, E)
  const [, indices] = rawOp('TopKV2', [], [probabilities, tf.scalar(k, 'int32')]);
  const experts = tf.reshape(indices!, [N * k]);
  const isChosen = tf.reshape(indicator(experts, E), [N, k, E]);
  const own = tf.sum(tf.mul(isChosen, tf.expandDims(probabilities, 1)), 2); // (N, k)
  return { experts, weights: normalised ? tf.div(own, tf.sum(own, 1, true)) : own };
}

/** `(M, E)` float32: 1 at each expert's column. In float32, because TensorFlow compares integers on the host even with a GPU. */
function indicator(experts: tf.Tensor, count: number): tf.Tensor {
  const numbers = tf.expandDims(tf.cast(experts, 'float32'), 1);
  return tf.cast(tf.equal(numbers, tf.range(0, count, 1, 'float32')), 'float32');
}

/**
 * Pairs of a token and an expert, `N · k`, sorted by expert and split into G blocks of B rows, each of one expert. With B > 1 blocks are
 * not always full, and some may be empty: G is the largest number that any choice of experts needs.
 */
export interface ExpertBlocks {
  /** N. */
  tokens: number;
  /** k. */
  chosen: number;
  /** B. */
  rows: number;
  /** E. */
  count: number;
  /** `(G)` int32: the expert of each block. Ascending. */
  experts: tf.Tensor;
  /** `(N · k)` int32: the row among all blocks, `G · B`, of each pair. */
  rowOfPair: tf.Tensor;
  /** `(G · B)` int32: the pair of each row; 0 for an unused row. */
  pairOfRow: tf.Tensor;
  /** `(G · B, 1)` float32: 0 for an unused row, else 1; null if every row is used. */
  isUsed: tf.Tensor | null;
}

/** Largest number of rows of a block. */
const MOST_ROWS = 256;

/**
 * B for this number of pairs. Stock operations multiply blocks by copies of their experts' weights: the fewer rows, the more copies, and
 * the more rows, the more of them are unused. The kernel joins blocks of one expert and copies nothing.
 */
export function blockRows(pairs: number, experts: number): number {
  if (multipliesByKernel()) return 1;
  return Math.min(MOST_ROWS, 2 ** Math.max(0, Math.floor(Math.log2(pairs / experts))));
}

const multipliesByKernel = () => usesKernels() && productType() === 'float32';

/** The blocks for the experts `(N · k)` int32 of N tokens. Positions within an expert's rows follow the order of tokens. */
export function expertBlocks(
  experts: tf.Tensor,
  { experts: E, chosen: k }: Pick<Routing, 'experts' | 'chosen'>,
  rows = blockRows(experts.size, E),
): ExpertBlocks {
  const pairs = experts.size;
  const G = Math.floor((pairs + Math.min(E, pairs) * (rows - 1)) / rows);
  // Numbers below 2²⁴ are exact in float32.
  const isOf = indicator(experts, E); // (N · k, E)
  const before = tf.cumsum(isOf, 0, true); // (N · k, E)
  const blocks = tf.ceil(tf.div(tf.sum(isOf, 0), rows)); // (E)
  const starts = tf.cumsum(blocks, 0, true); // (E)
  const row = tf.sum(tf.mul(isOf, tf.add(before, tf.mul(starts, rows))), 1); // (N · k)
  const rowOfPair = tf.cast(row, 'int32');
  // 1 + the pair of a row, and 0 for an unused one.
  const numbers = tf.range(1, pairs + 1, 1, 'float32');
  const own = rawOp('UnsortedSegmentSum', [], [numbers, rowOfPair, tf.scalar(G * rows, 'int32')])[0]!;
  const ends = tf.expandDims(tf.add(starts, blocks), 0); // (1, E)
  const isPast = tf.greaterEqual(tf.expandDims(tf.range(0, G, 1, 'float32'), 1), ends); // (G, E)
  const ofBlock = tf.minimum(tf.sum(tf.cast(isPast, 'float32'), 1), E - 1);
  return {
    tokens: pairs / k,
    chosen: k,
    rows,
    count: E,
    experts: tf.cast(ofBlock, 'int32'),
    rowOfPair,
    pairOfRow: tf.cast(tf.maximum(tf.sub(own, 1), 0), 'int32'),
    isUsed: rows === 1 ? null : tf.expandDims(tf.minimum(own, 1), 1),
  };
}

const gatherRows = (x: tf.Tensor, index: tf.Tensor) =>
  rawOp('GatherV2', [], [x, index, tf.scalar(0, 'int32')])[0]!;

/** The rows of x `(N, H)` as the blocks need them, `(G · B, H)`. Unused rows hold those of the first token. */
export function toBlocks(x: tf.Tensor, { rowOfPair, pairOfRow, chosen, tokens }: ExpertBlocks): tf.Tensor {
  return customGradient({
    inputs: { x },
    keep: { rowOfPair },
    value() {
      const token = tf.cast(tf.floor(tf.div(tf.cast(pairOfRow, 'float32'), chosen)), 'int32');
      return gatherRows(x, token);
    },
    // Each token's rows are gathered, which adds them in the same order in every run.
    gradient(dy, { rowOfPair }) {
      const own = gatherRows(dy, rowOfPair); // (N · k, H)
      return { x: flowing(tf.sum(tf.reshape(exactly(own), [tokens, chosen, -1]), 1)) };
    },
  });
}

/** The sum `(N, H)` of each token's rows of y `(G · B, H)`, with weights `(N, k)` float32. */
export function fromBlocks(y: tf.Tensor, weights: tf.Tensor, blocks: ExpertBlocks): tf.Tensor {
  const { rowOfPair, pairOfRow, isUsed, chosen, tokens } = blocks;
  const H = y.shape[1]!;
  const split = (rows: tf.Tensor) => tf.reshape(exactly(rows), [tokens, chosen, H]);
  return customGradient({
    inputs: { y, weights },
    keep: { y, weights, rowOfPair, pairOfRow, ...(isUsed ? { isUsed } : {}) },
    value: () => flowing(tf.sum(tf.mul(split(gatherRows(y, rowOfPair)), tf.expandDims(weights, 2)), 1)),
    gradient(dy, kept) {
      const wide = tf.expandDims(exactly(dy), 1); // (N, 1, H)
      const rows = tf.reshape(tf.mul(wide, tf.expandDims(kept.weights, 2)), [tokens * chosen, H]);
      const spread = gatherRows(rows, kept.pairOfRow); // (G · B, H)
      const own = split(gatherRows(withControlDependency(kept.y, dy), kept.rowOfPair));
      return {
        y: flowing(kept.isUsed ? tf.mul(spread, kept.isUsed) : spread),
        weights: tf.sum(tf.mul(own, wide), 2),
      };
    },
  });
}

/**
 * Multiplies each row of x `(G · B, K)` by the matrix of its block's expert: `x · W[e]ᵀ → (G · B, R)` with W `(E, R, K)`. A frozen W gets no
 * gradient, and the backward pass reads it again instead of keeping it.
 */
export function expertProduct(x: tf.Tensor, weight: Weight, blocks: ExpertBlocks): tf.Tensor {
  if (weight.kind === 'rows') throw new Error('a stack of matrices has no rows of tokens');
  if (weight.kind === 'trained') return trainedExpertProduct(x, weight.tensor, blocks);
  return customGradient({
    inputs: { x },
    keep: { experts: blocks.experts },
    value: () => byExpert(x, weightValue(weight, x), blocks, false),
    gradient: (dy, { experts }) => ({ x: byExpert(dy, weightValue(weight, dy), { ...blocks, experts }, true) }),
  });
}

/** `expertProduct` with gradients for x and W `(E, R, K)`. */
export function trainedExpertProduct(x: tf.Tensor, w: tf.Tensor, blocks: ExpertBlocks): tf.Tensor {
  const origin = originOf(x);
  return customGradient({
    inputs: { x, w },
    keep: { w, experts: blocks.experts, origin: origin.inputs },
    value: () => byExpert(x, w, blocks, false),
    gradient(dy, { w, experts, origin: kept }) {
      const own = { ...blocks, experts };
      const dw = gradientByExpert(dy, restore(origin, kept, dy), own);
      return { x: byExpert(withControlDependency(dy, dw), w, own, true), w: dw };
    },
  });
}

/** `x (G · B, K) · W[e]ᵀ` with W `(E, R, K)`, or, with `reversed`, `x (G · B, R) · W[e]`. */
function byExpert(x: tf.Tensor, w: tf.Tensor, blocks: ExpertBlocks, reversed: boolean): tf.Tensor {
  const width = w.shape[reversed ? 2 : 1]!;
  const split = tf.reshape(x, [-1, blocks.rows, x.shape[1]!]); // (G, B, K or R)
  const product = flowingMatmul(split, gatherRows(w, blocks.experts), false, !reversed);
  return tf.reshape(product, [x.shape[0]!, width]);
}

/** The gradient `(E, R, K)` of W from dy `(G · B, R)` and x `(G · B, K)`. Unused rows of dy are 0. */
function gradientByExpert(dy: tf.Tensor, x: tf.Tensor, { rows, experts, count }: ExpertBlocks): tf.Tensor {
  const split = (t: tf.Tensor) => tf.reshape(t, [-1, rows, t.shape[1]!]);
  const each = matmul(split(dy), split(x), true); // (G, R, K)
  return rawOp('UnsortedSegmentSum', [], [each, experts, tf.scalar(count, 'int32')])[0]!;
}

/** A low-rank update of a stack of matrices: A `(E, r, K)` and B `(E, R, r)`. */
export interface ExpertUpdate {
  a: tf.Tensor;
  b: tf.Tensor;
  scale: number;
}

/** `expertProduct`, plus `scale · (x A[e]ᵀ) B[e]ᵀ`. */
export function updatedExpertProduct(
  x: tf.Tensor,
  weight: Weight,
  update: ExpertUpdate | null,
  blocks: ExpertBlocks,
): tf.Tensor {
  const base = expertProduct(x, weight, blocks);
  if (!update) return base;
  const down = flowing(tf.mul(trainedExpertProduct(x, update.a, blocks), update.scale)); // (G · B, r)
  return flowing(tf.add(base, trainedExpertProduct(down, update.b, blocks)));
}

/** Sizes of a stack of matrices `(E, R, K)`. */
export function stackSizes(weight: Weight): { count: number; out: number; width: number } {
  const [count, out, width] = weightShape(weight) as [number, number, number];
  return { count, out, width };
}

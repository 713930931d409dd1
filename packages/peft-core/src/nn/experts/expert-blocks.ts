// Products by experts with TensorFlow's own operations: rows of one expert are collected in blocks of a fixed size.
import { customGradient, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { exactly, flowing } from '../computation.ts';
import { flowingMatmul, matmul } from '../matmul.ts';
import { originOf, restore } from '../recompute.ts';

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
  /** `(G · B, 1)` float32: 0 for an unused row, else 1. */
  isUsed: tf.Tensor;
}

/** `(…, E)` float32: 1 at each expert's column. In float32, because TensorFlow compares integers on the host even with a GPU. */
export function indicator(experts: tf.Tensor, count: number): tf.Tensor {
  const numbers = tf.expandDims(tf.cast(experts, 'float32'), -1);
  return tf.cast(tf.equal(numbers, tf.range(0, count, 1, 'float32')), 'float32');
}

export const gatherRows = (x: tf.Tensor, index: tf.Tensor): tf.Tensor =>
  rawOp('GatherV2', [], [x, index, tf.scalar(0, 'int32')])[0]!;

const MOST_ROWS = 256;

/**
 * B for this number of pairs. Blocks are multiplied by copies of their experts' matrices: the fewer rows, the more copies, and the more
 * rows, the more of them are unused.
 */
const blockRows = (pairs: number, experts: number) =>
  Math.min(MOST_ROWS, 2 ** Math.max(0, Math.floor(Math.log2(pairs / experts))));

/** The blocks for the experts `(N, k)` int32 of N tokens. Positions within an expert's rows follow the order of tokens. */
export function expertBlocks(chosen: tf.Tensor, E: number, rows = blockRows(chosen.size, E)): ExpertBlocks {
  const pairs = chosen.size;
  const G = Math.floor((pairs + Math.min(E, pairs) * (rows - 1)) / rows);
  // Numbers below 2²⁴ are exact in float32.
  const isOf = tf.reshape(indicator(chosen, E), [pairs, E]);
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
  const blockExperts = tf.minimum(tf.sum(tf.cast(isPast, 'float32'), 1), E - 1);
  const [tokens, each] = chosen.shape as [number, number];
  return {
    tokens,
    chosen: each,
    rows,
    count: E,
    experts: tf.cast(blockExperts, 'int32'),
    rowOfPair,
    pairOfRow: tf.cast(tf.maximum(tf.sub(own, 1), 0), 'int32'),
    isUsed: tf.expandDims(tf.minimum(own, 1), 1),
  };
}

/**
 * `x · W[e]ᵀ → (N · k, R)` by each pair's expert, with W `(E, R, in)` and x `(N, in)` or `(N, k · in)`. W is a frozen weight that is read
 * after a tensor, or gets a gradient.
 */
export function productOfBlocks(
  x: tf.Tensor,
  width: number,
  w: tf.Tensor | ((after: tf.Tensor) => tf.Tensor),
  blocks: ExpertBlocks,
): tf.Tensor {
  const rows = toBlocks(x, width, blocks);
  return fromBlocks(
    typeof w === 'function' ? frozenProduct(rows, w, blocks) : trainedProduct(rows, w, blocks),
    blocks,
  );
}

/** The rows of x, as the blocks need them, `(G · B, in)`. Unused rows hold those of the first pair. */
function toBlocks(x: tf.Tensor, width: number, blocks: ExpertBlocks): tf.Tensor {
  const { rowOfPair, pairOfRow, chosen, tokens } = blocks;
  const isShared = x.shape[1] === width;
  return customGradient({
    inputs: { x },
    keep: { rowOfPair },
    value() {
      if (!isShared) return gatherRows(tf.reshape(x, [tokens * chosen, width]), pairOfRow);
      return gatherRows(x, tf.cast(tf.floor(tf.div(tf.cast(pairOfRow, 'float32'), chosen)), 'int32'));
    },
    // Each token's rows are gathered, which adds them in the same order in every run.
    gradient(dy, { rowOfPair }) {
      const own = gatherRows(dy, rowOfPair); // (N · k, in)
      if (!isShared) return { x: tf.reshape(own, x.shape) };
      return { x: flowing(tf.sum(tf.reshape(exactly(own), [tokens, chosen, width]), 1)) };
    },
  });
}

/** The rows of y `(G · B, R)` in the order of pairs, `(N · k, R)`. */
function fromBlocks(y: tf.Tensor, { rowOfPair, pairOfRow, isUsed }: ExpertBlocks): tf.Tensor {
  return customGradient({
    inputs: { y },
    keep: { pairOfRow, isUsed },
    value: () => gatherRows(y, rowOfPair),
    gradient: (dy, { pairOfRow, isUsed }) => ({
      y: flowing(tf.mul(exactly(gatherRows(dy, pairOfRow)), isUsed)),
    }),
  });
}

function frozenProduct(x: tf.Tensor, read: (after: tf.Tensor) => tf.Tensor, blocks: ExpertBlocks): tf.Tensor {
  return customGradient({
    inputs: { x },
    keep: { experts: blocks.experts },
    value: () => byExpert(x, read(x), blocks, false),
    gradient: (dy, { experts }) => ({ x: byExpert(dy, read(dy), { rows: blocks.rows, experts }, true) }),
  });
}

function trainedProduct(x: tf.Tensor, w: tf.Tensor, { rows, experts, count }: ExpertBlocks): tf.Tensor {
  const origin = originOf(x);
  return customGradient({
    inputs: { x, w },
    keep: { w, experts, origin: origin.inputs },
    value: () => byExpert(x, w, { rows, experts }, false),
    gradient(dy, { w, experts, origin: kept }) {
      const split = (t: tf.Tensor) => tf.reshape(t, [-1, rows, t.shape[1]!]);
      const each = matmul(split(dy), split(restore(origin, kept, dy)), true); // (G, R, in)
      const dw = rawOp('UnsortedSegmentSum', [], [each, experts, tf.scalar(count, 'int32')])[0]!;
      return { x: byExpert(withControlDependency(dy, dw), w, { rows, experts }, true), w: dw };
    },
  });
}

/** `x (G · B, in) · W[e]ᵀ` with W `(E, R, in)`, or, with `reversed`, `x (G · B, R) · W[e]`. */
function byExpert(
  x: tf.Tensor,
  w: tf.Tensor,
  { rows, experts }: Pick<ExpertBlocks, 'rows' | 'experts'>,
  reversed: boolean,
): tf.Tensor {
  const split = tf.reshape(x, [-1, rows, x.shape[1]!]); // (G, B, in or R)
  const product = flowingMatmul(split, gatherRows(w, experts), false, !reversed);
  return tf.reshape(product, [x.shape[0]!, w.shape[reversed ? 2 : 1]!]);
}

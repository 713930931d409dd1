import { attr, customGradient, rawOp, tf } from '@graft/tf-graph';
import { flowing, usesKernels } from './computation.ts';
import { flowingMatmul, matmul } from './matmul.ts';
import { originOf, restore } from './recompute.ts';

/** A trained update of low rank, of the columns of a product from `offset` on. */
export interface LowRankPair {
  /** `(r, in)`. */
  a: tf.Tensor;
  /** `(out, r)`. */
  b: tf.Tensor;
  scale: number;
  offset: number;
}

/**
 * y `(N, W)` with `scale · (x Aᵀ) Bᵀ` added to the columns of each pair, x `(N, in)`. All A's are one product, all B's are added in
 * one pass. Source: Hu et al. 2021, arXiv:2106.09685.
 */
export function lowRankSum(y: tf.Tensor, x: tf.Tensor, pairs: readonly LowRankPair[]): tf.Tensor {
  return withUpdate(flowing(y), downTo(x, pairs), pairs);
}

/** Where each pair's ranks begin when all lie side by side. */
function lanesOf(pairs: readonly LowRankPair[]): number[] {
  let next = 0;
  return pairs.map(({ a }) => {
    const lane = next;
    next += a.shape[0]!;
    return lane;
  });
}

/** `x · [scale · A, …]ᵀ`, `(N, R)` in float32: the pairs' ranks side by side. */
function downTo(x: tf.Tensor, pairs: readonly LowRankPair[]): tf.Tensor {
  const inputs = { x, as: pairs.map(({ a }) => a) };
  const stacked = (as: readonly tf.Tensor[]) =>
    tf.concat(
      as.map((a, i) => tf.mul(a, pairs[i]!.scale)),
      0,
    );
  const origin = originOf(x);
  return customGradient({
    inputs,
    keep: { as: inputs.as, origin: origin.inputs },
    value: () => matmul(x, stacked(inputs.as), false, true),
    gradient(dDown, { as, origin: kept }) {
      const whole = matmul(dDown, restore(origin, kept, dDown), true); // (R, in)
      const lanes = lanesOf(pairs);
      return {
        x: flowingMatmul(dDown, stacked(as)),
        as: as.map((a, i) =>
          tf.mul(tf.slice(whole, [lanes[i]!, 0], a.shape as [number, number]), pairs[i]!.scale),
        ),
      };
    },
  });
}

/** y with `down · Bᵀ` of each pair added. */
function withUpdate(y: tf.Tensor, down: tf.Tensor, pairs: readonly LowRankPair[]): tf.Tensor {
  const offsets = pairs.map(({ offset }) => offset);
  const bs = pairs.map(({ b }) => b);
  const width = y.shape[1]!;
  const sum = () => {
    if (!usesKernels()) return tf.add(y, matmul(down, blocks(bs, offsets, width), false, true));
    const attributes = [attr.ints('offsets', offsets), attr.bool('transposed', true)];
    return rawOp('GraftLowRankAdd', attributes, [y, down, ...bs])[0]!;
  };
  return customGradient({
    inputs: { y, down, bs },
    keep: { down, bs },
    value: sum,
    gradient(dy, { down, bs }) {
      const whole = matmul(dy, down, true); // (W, R)
      const lanes = lanesOf(pairs);
      return {
        y: dy,
        down: matmul(dy, blocks(bs, offsets, width)),
        bs: bs.map((b, i) => tf.slice(whole, [offsets[i]!, lanes[i]!], b.shape as [number, number])),
      };
    },
  });
}

/** `(W, R)`: each B in its columns' rows and its ranks' columns, 0 elsewhere. */
function blocks(bs: readonly tf.Tensor[], offsets: readonly number[], width: number): tf.Tensor {
  const ranks = bs.reduce((sum, b) => sum + b.shape[1]!, 0);
  const parts: tf.Tensor[] = [];
  let row = 0;
  let lane = 0;
  for (const [i, b] of bs.entries()) {
    const [out, rank] = b.shape as [number, number];
    if (offsets[i]! > row) parts.push(tf.zeros([offsets[i]! - row, ranks]));
    const before = lane > 0 ? [tf.zeros([out, lane])] : [];
    const after = lane + rank < ranks ? [tf.zeros([out, ranks - lane - rank])] : [];
    parts.push(before.length + after.length === 0 ? b : tf.concat([...before, b, ...after], 1));
    row = offsets[i]! + out;
    lane += rank;
  }
  if (row < width) parts.push(tf.zeros([width - row, ranks]));
  return parts.length === 1 ? parts[0]! : tf.concat(parts, 0);
}

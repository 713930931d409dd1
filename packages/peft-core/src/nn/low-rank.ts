import { attr, customGradient, rawOp, tf } from '@graft/tf-graph';
import { flowing, usesKernels } from './computation.ts';
import { linear } from './linear.ts';
import { flowingMatmul, matmul } from './matmul.ts';
import { originOf, restore } from './recompute.ts';
import { type Weight, weightValue } from './weight.ts';

/** A trained update of low rank, of the columns of a product from `offset` on. */
export interface LowRankPair {
  /** `(r, in)`. */
  a: tf.Tensor;
  /** `(out, r)`. */
  b: tf.Tensor;
  scale: number;
  offset: number;
}

export interface UpdatedLinear {
  weight: Weight;
  bias: tf.Tensor | null;
  transposed: boolean;
}

/**
 * `linear` with `scale · (x Aᵀ) Bᵀ` of each pair added to its columns; x `(N, in)`. All A's are one product, all B's are added in
 * one pass, and so are their gradients of x. Source: Hu et al. 2021, arXiv:2106.09685.
 */
export function updatedLinear(
  x: tf.Tensor,
  { weight, bias, transposed }: UpdatedLinear,
  pairs: readonly LowRankPair[],
): tf.Tensor {
  const sum = withUpdates(x, weight, transposed, pairs);
  return bias ? flowing(tf.add(sum, bias)) : sum;
}

function withUpdates(
  x: tf.Tensor,
  weight: Weight,
  transposed: boolean,
  pairs: readonly LowRankPair[],
): tf.Tensor {
  const frozen = weight.kind === 'frozen' ? weight : null;
  // What is trained of the weight has gradients of its own, and so has x through it.
  const y = frozen ? undefined : linear(x, weight, null, transposed);
  const [as, bs] = [pairs.map(({ a }) => a), pairs.map(({ b }) => b)];
  const scales = tf.tensor1d(pairs.flatMap(({ a, scale }) => Array<number>(a.shape[0]!).fill(scale)));
  // (N, R): the pairs' ranks side by side, each scaled.
  const down = tf.mul(matmul(x, tf.concat(as, 0), false, true), scales);
  const origin = originOf(x);
  const offsets = pairs.map(({ offset }) => offset);
  return customGradient({
    inputs: { x, as, bs, y },
    keep: { as, bs, down, origin: origin.inputs },
    value() {
      const product = y ?? flowingMatmul(x, weightValue(weight, x), false, !transposed);
      return added(flowing(product), down, { matrices: bs, offsets, transposed: true });
    },
    gradient(dy, { as, bs, down, origin: kept }) {
      const dDown = takenDown(dy, bs, pairs); // (N, R)
      const ofBs = matmul(dy, down, true); // (W, R)
      const ofAs = matmul(dDown, restore(origin, kept, dDown), true); // (R, in)
      const lanes = lanesOf(pairs);
      const whole = { matrices: [tf.concat(as, 0)], offsets: [0], transposed: false };
      return {
        x: frozen
          ? added(flowingMatmul(dy, weightValue(frozen, dDown), false, transposed), dDown, whole)
          : flowingMatmul(dDown, whole.matrices[0]!),
        as: as.map((a, i) => tf.slice(ofAs, [lanes[i]!, 0], a.shape as [number, number])),
        bs: bs.map((b, i) => tf.slice(ofBs, [offsets[i]!, lanes[i]!], b.shape as [number, number])),
        y: y && dy,
      };
    },
  });
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

interface Parts {
  /** `(rank, out)`, or `(out, rank)` when transposed. */
  matrices: readonly tf.Tensor[];
  /** Of the columns of each. */
  offsets: number[];
  transposed: boolean;
}

/** y `(N, W)` with down `(N, R)` times each part added to its columns. */
function added(y: tf.Tensor, down: tf.Tensor, { matrices, offsets, transposed }: Parts): tf.Tensor {
  if (usesKernels()) {
    const attributes = [attr.ints('offsets', offsets), attr.bool('transposed', transposed)];
    return rawOp('GraftLowRankAdd', attributes, [y, down, ...matrices])[0]!;
  }
  const columns = transposed ? matrices : matrices.map((matrix) => tf.transpose(matrix));
  return tf.add(y, matmul(down, blocks(columns, offsets, y.shape[1]!), false, true));
}

/** `scale · dy B` of each pair, `(N, R)`. */
function takenDown(dy: tf.Tensor, bs: readonly tf.Tensor[], pairs: readonly LowRankPair[]): tf.Tensor {
  const offsets = pairs.map(({ offset }) => offset);
  const scales = pairs.map(({ scale }) => scale);
  const lanes = bs.reduce((sum, b) => sum + b.shape[1]!, 0);
  if (usesKernels()) {
    const attributes = [
      ...[attr.ints('offsets', offsets), attr.floats('scales', scales), attr.int('lanes', lanes)],
    ];
    return rawOp('GraftLowRankDown', attributes, [flowing(dy), ...bs])[0]!;
  }
  const scaled = bs.map((b, i) => tf.mul(b, scales[i]!));
  return matmul(dy, blocks(scaled, offsets, dy.shape[1]!));
}

/** `(W, R)`: each B in its columns' rows and its ranks' columns, 0 elsewhere. */
function blocks(bs: readonly tf.Tensor[], offsets: readonly number[], width: number): tf.Tensor {
  const ranks = bs.reduce((sum, b) => sum + b.shape[1]!, 0);
  let lane = 0;
  const placed = bs.map((b, i) => {
    const [out, rank] = b.shape as [number, number];
    const row = offsets[i]!;
    const around: [number, number][] = [
      [row, width - row - out],
      [lane, ranks - lane - rank],
    ];
    lane += rank;
    return tf.pad(b, around);
  });
  return tf.addN(placed);
}

import { attr, customGradient, rawOp, tf } from '@graft/tf-graph';
import { flowing, usesKernels } from './computation.ts';
import { droppedBy, nextSeed, noSeed, type RandomState } from './dropout.ts';
import { linear, weightProduct } from './linear.ts';
import { flowingMatmul, matmul } from './matmul.ts';
import { originOf, restore } from './recompute.ts';
import { withBias } from './scaled-columns.ts';
import { type Weight, weightValue } from './weight.ts';

/** A trained low-rank update of the columns of a product, from column `offset` on. */
export interface LowRankPair {
  /** `(r, in)`. */
  a: tf.Tensor;
  /** `(out, r)`. */
  b: tf.Tensor;
  scale: number;
  offset: number;
  /** Dropout of A's input, with a separate mask `(N, in)` for each pair. */
  dropout?: { probability: number; random: RandomState } | undefined;
}

export interface UpdatedLinear {
  weight: Weight;
  bias: tf.Tensor | null;
  transposed: boolean;
}

/**
 * `linear` with `scale · (x Aᵀ) Bᵀ` of each pair added to its columns; x `(N, in)`. All A's are multiplied in one product and all B's are
 * added in one pass; so are their gradients of x. `active` `(N, 1)` bool: the rows that are updated; absent: all. Source: Hu et al. 2021, arXiv:2106.09685.
 */
export function updatedLinear(
  x: tf.Tensor,
  { weight, bias, transposed }: UpdatedLinear,
  pairs: readonly LowRankPair[],
  active?: tf.Tensor,
): tf.Tensor {
  const sum = withUpdates(x, weight, transposed, pairs, active);
  return bias ? withBias(sum, bias) : sum;
}

function withUpdates(
  x: tf.Tensor,
  weight: Weight,
  transposed: boolean,
  pairs: readonly LowRankPair[],
  active: tf.Tensor | undefined,
): tf.Tensor {
  const frozen = weight.kind === 'frozen' ? weight : null;
  // `linear` provides the gradients of the weight's trained part, and of x through the weight.
  const y = frozen ? undefined : linear(x, weight, null, transposed);
  const [as, bs] = [pairs.map(({ a }) => a), pairs.map(({ b }) => b)];
  const scales = tf.tensor1d(pairs.flatMap(({ a, scale }) => Array<number>(a.shape[0]!).fill(scale)));
  const drops = droppedInputs(pairs);
  const { seeds } = drops;
  // (N, R): the pairs' ranks side by side, each scaled.
  const down = onlyActive(tf.mul(lowered(drops.of(x, seeds), as), scales), active);
  const origin = originOf(x);
  const offsets = pairs.map(({ offset }) => offset);
  return customGradient({
    inputs: { x, as, bs, y },
    keep: { as, bs, down, seeds, active, origin: origin.inputs },
    value() {
      const product = y ?? weightProduct(x, weight, transposed);
      return added(flowing(product), down, { matrices: bs, offsets, transposed: true });
    },
    gradient(dy, { as, bs, down, seeds, active, origin: kept }) {
      const dDown = onlyActive(takenDown(dy, bs, pairs), active); // (N, R)
      const dBs = matmul(dy, down, true); // (W, R)
      const lanes = lanesOf(pairs);
      const dx = frozen ? flowingMatmul(dy, weightValue(frozen, dDown), false, transposed) : null;
      return {
        x: raised(dDown, as, dx, drops.probability, seeds),
        as: gradientsOfA(dDown, as, drops.of(restore(origin, kept, dDown), seeds)),
        bs: bs.map((b, i) => tf.slice(dBs, [offsets[i]!, lanes[i]!], b.shape as [number, number])),
        y: y && dy,
      };
    },
  });
}

/** x `(N, R)` with 0 in rows that are not active. Selected, not multiplied: 0 times infinity is not 0. */
const onlyActive = (x: tf.Tensor, active: tf.Tensor | undefined): tf.Tensor =>
  active ? rawOp('SelectV2', [], [active, x, tf.scalar(0)])[0]! : x;

/** x `(N, R)` with 0 in rows that `active` `(N, 1)` bool does not select, and its gradient likewise. */
export function activeRows(x: tf.Tensor, active: tf.Tensor): tf.Tensor {
  return customGradient({
    inputs: { x },
    keep: { active },
    value: () => onlyActive(x, active),
    gradient: (dy, { active }) => ({ x: onlyActive(dy, active) }),
  });
}

/** The input of each pair's A: x itself without dropout, else x with a separate mask for each pair, computed on demand. */
function droppedInputs(pairs: readonly LowRankPair[]) {
  const probability = pairs[0]?.dropout?.probability ?? 0;
  const seeds = probability > 0 ? pairs.map(({ dropout }) => nextSeed(dropout!.random)) : [];
  const of = (x: tf.Tensor, seeds: readonly tf.Tensor[]) =>
    seeds.length === 0 ? [x] : seeds.map((seed) => droppedBy(seed, x, probability));
  return { probability, seeds, of };
}

/** `x Aᵀ` `(N, R)` side by side: one product if all A's read the same x, else one for each A. */
function lowered(inputs: readonly tf.Tensor[], as: readonly tf.Tensor[]): tf.Tensor {
  if (inputs.length === 1) return matmul(inputs[0]!, tf.concat([...as], 0), false, true);
  return tf.concat(
    inputs.map((x, i) => matmul(x, as[i]!, false, true)),
    1,
  );
}

/** The gradients of the A's, from the gradient of `lowered` `(N, R)` and its inputs. */
function gradientsOfA(dDown: tf.Tensor, as: readonly tf.Tensor[], inputs: readonly tf.Tensor[]): tf.Tensor[] {
  if (inputs.length === 1) return byPair(matmul(dDown, inputs[0]!, true), as, 0);
  const parts = byPair(dDown, as, 1);
  return inputs.map((x, i) => matmul(parts[i]!, x, true));
}

/** Splits the axis that holds all ranks into each pair's ranks. */
function byPair(all: tf.Tensor, as: readonly tf.Tensor[], axis: number): tf.Tensor[] {
  if (as.length === 1) return [all];
  const ranks = as.map((a) => a.shape[0]!);
  return tf.split(all, ranks, axis);
}

/** The gradient `(N, in)` of x through the A's, with dropout applied, added to `sum`. */
function raised(
  dDown: tf.Tensor,
  as: readonly tf.Tensor[],
  sum: tf.Tensor | null,
  probability: number,
  seeds: readonly tf.Tensor[],
): tf.Tensor {
  if (seeds.length === 0) {
    const whole = tf.concat([...as], 0);
    return sum
      ? added(sum, dDown, { matrices: [whole], offsets: [0], transposed: false })
      : flowingMatmul(dDown, whole);
  }
  if (sum && usesKernels()) {
    const parts = { matrices: as, offsets: as.map(() => 0), transposed: false };
    return added(sum, dDown, parts, { probability, seeds: tf.concat([...seeds], 0) });
  }
  const each = byPair(dDown, as, 1).map((part, i) =>
    droppedBy(seeds[i]!, flowingMatmul(part, as[i]!), probability),
  );
  const all = tf.addN([...(sum ? [sum] : []), ...each]);
  return usesKernels() ? all : flowing(all);
}

/** Where each pair's ranks start when all lie side by side. */
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
  /** First column of each matrix. */
  offsets: number[];
  transposed: boolean;
}

/** y `(N, W)` with down `(N, R)` times each part added to its columns. Only kernels apply dropout to the added terms. */
function added(
  y: tf.Tensor,
  down: tf.Tensor,
  { matrices, offsets, transposed }: Parts,
  { probability, seeds } = { probability: 0, seeds: noSeed() },
): tf.Tensor {
  if (usesKernels()) {
    const attributes = [
      attr.ints('offsets', offsets),
      attr.bool('transposed', transposed),
      attr.float('dropout', probability),
    ];
    return rawOp('GraftLowRankAdd', attributes, [y, down, ...matrices, seeds])[0]!;
  }
  const columns = transposed ? matrices : matrices.map((matrix) => tf.transpose(matrix));
  return flowing(tf.add(y, matmul(down, blocks(columns, offsets, y.shape[1]!), false, true)));
}

/** `scale · dy B` for each pair, `(N, R)`. */
function takenDown(dy: tf.Tensor, bs: readonly tf.Tensor[], pairs: readonly LowRankPair[]): tf.Tensor {
  const offsets = pairs.map(({ offset }) => offset);
  const scales = pairs.map(({ scale }) => scale);
  const lanes = bs.reduce((sum, b) => sum + b.shape[1]!, 0);
  if (usesKernels()) {
    const attributes = [
      attr.ints('offsets', offsets),
      attr.floats('scales', scales),
      attr.int('lanes', lanes),
    ];
    return rawOp('GraftLowRankDown', attributes, [flowing(dy), ...bs])[0]!;
  }
  const scaled = bs.map((b, i) => tf.mul(b, scales[i]!));
  return matmul(dy, blocks(scaled, offsets, dy.shape[1]!));
}

/** `(W, R)`: each B at its columns' rows and its ranks' columns, 0 elsewhere. */
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

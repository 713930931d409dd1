import { attr, customGradient, rawOp, tf } from '@graft/tf-graph';
import { deltaGroups } from '../../block-sizes/delta-groups.ts';
import { exactly, flowing, graphTarget, usesKernels, withComputation } from '../computation.ts';
import { costly } from '../recompute.ts';
import { chunkStates } from './chunk-states.ts';
import { inHeadGroups } from './head-groups.ts';
import { type SegmentChunks, triangle } from './segment-chunks.ts';

/** Heads of a delta rule. Each key head serves `valueHeads / keyHeads` consecutive value heads. */
export interface DeltaHeads {
  keyHeads: number;
  valueHeads: number;
  keySize: number;
  valueSize: number;
}

/** The inputs at N = rows · tokens positions. */
export interface DeltaInputs {
  /** `(N, keyHeads · keySize)`; the rule itself normalises queries and keys. */
  q: tf.Tensor;
  k: tf.Tensor;
  /** `(N, valueHeads · valueSize)` */
  v: tf.Tensor;
  /** `(N, valueHeads)`: logarithm of the factor by which the state decays, at most 0. */
  decay: tf.Tensor;
  /** `(N, valueHeads)`: the share of its error that a position corrects, from 0 to 1. */
  rate: tf.Tensor;
}

const NORM_EPSILON = 1e-6;

/**
 * The gated delta rule. Each head has a state S `(keySize, valueSize)`, zero at the start of a segment; position t decays it, writes its
 * value under its key and reads with its query:
 * `S ← e^decay · S`; `S ← S + rate · k (v − Sᵀk)ᵀ`; `y = Sᵀq / √keySize`, with q and k divided by their lengths.
 * Computed in float32, in chunks of 64 positions. Returns `(N, valueHeads · valueSize)`. Keeps its inputs and recomputes the rest, with
 * stock operations for a group of heads at a time; memory grows linearly with the positions. Sources: Yang et al. 2024, arXiv:2412.06464; transformers 5.24,
 * torch_chunk_gated_delta_rule.
 */
export function deltaRule(inputs: DeltaInputs, heads: DeltaHeads, chunks: SegmentChunks): tf.Tensor {
  const { q, k, v, decay, rate } = inputs;
  const all = [q, k, v, decay, rate];
  const { masks, segments, ...sizes } = chunks;
  if (!masks) return ruleByKernel(all, heads, chunks);
  const { groups } = deltaGroups({ ...sizes, ...heads }, graphTarget());
  const own = { ...heads, keyHeads: heads.keyHeads / groups, valueHeads: heads.valueHeads / groups };
  return inHeadGroups(
    all,
    Array<number>(all.length).fill(groups),
    masks,
    (parts, masks) => inChunks(parts, own, { ...sizes, segments, masks }, null).y,
  );
}

function ruleByKernel(inputs: readonly tf.Tensor[], heads: DeltaHeads, chunks: SegmentChunks): tf.Tensor {
  const all = kernelInputs(inputs);
  const { segments } = chunks;
  const [y] = costly(() => [runKernel(all, heads, chunks, tf.zeros([0, 1])).y]) as [tf.Tensor];
  return customGradient({
    inputs: { all },
    keep: { all, segments },
    value: () => y,
    gradient: (dy, { all, segments }) => ({
      all: rawOp('GraftDeltaRuleGradient', kernelAttributes(heads, chunks), [flowing(dy), ...all, segments]),
    }),
  });
}

/** Queries, keys and values as they flow, decays and rates in float32. */
const kernelInputs = (all: readonly tf.Tensor[]) => all.map((x, i) => (i < 3 ? flowing(x) : exactly(x)));

const kernelAttributes = ({ keyHeads, valueHeads }: DeltaHeads, { rows }: SegmentChunks) => [
  attr.int('rows', rows),
  attr.int('key_heads', keyHeads),
  attr.int('value_heads', valueHeads),
];

/** `first` `(R, valueHeads · keySize · valueSize)`, or without rows. */
function runKernel(
  all: readonly tf.Tensor[],
  heads: DeltaHeads,
  chunks: SegmentChunks,
  first: tf.Tensor,
): { y: tf.Tensor; last: tf.Tensor } {
  const [y, last] = rawOp('GraftDeltaRule', kernelAttributes(heads, chunks), [
    ...all,
    chunks.segments,
    first,
  ]);
  return { y: y!, last: last! };
}

/**
 * The rule for rows that continue a sequence each, from `state` `(R, valueHeads, keySize, valueSize)`. Returns the state after the last
 * position, too: positions with decay 0 and rate 0 leave it as it was. No gradient flows.
 */
export function continuedDeltaRule(
  { q, k, v, decay, rate }: DeltaInputs,
  heads: DeltaHeads,
  chunks: SegmentChunks,
  state: tf.Tensor,
): { y: tf.Tensor; state: tf.Tensor } {
  const all = [q, k, v, decay, rate];
  if (usesKernels()) {
    const first = tf.reshape(state, [chunks.rows, -1]);
    const { y, last } = runKernel(kernelInputs(all), heads, chunks, first);
    return { y, state: tf.reshape(last, state.shape) };
  }
  const { y, last } = withComputation({ precision: 'fp32' }, () =>
    inChunks(all.map(exactly), heads, chunks, state),
  );
  return { y: flowing(y), state: last! };
}

/** The rule in float32 by stock operations. The last state is null without a first one. */
function inChunks(
  [q, k, v, decay, rate]: readonly tf.Tensor[],
  { keyHeads, valueHeads, keySize: K, valueSize: V }: DeltaHeads,
  { rows: R, tokens, size: C, count: c, masks: given }: SegmentChunks,
  first: tf.Tensor | null,
): { y: tf.Tensor; last: tf.Tensor | null } {
  const masks = given!;
  /** `(N, heads · width)` → `(R, heads, c, C, width)`, with zeros after the last position. */
  const chunked = (x: tf.Tensor, heads: number) => {
    const width = x.shape[1]! / heads;
    const byHead = tf.transpose(tf.reshape(x, [R, tokens, heads, width]), [0, 2, 1, 3]);
    const missing = c * C - tokens;
    const whole = missing > 0 ? tf.concat([byHead, tf.zeros([R, heads, missing, width])], 2) : byHead;
    return tf.reshape(whole, [R, heads, c, C, width]);
  };
  /** Repeats each key head for its value heads. */
  const spread = (x: tf.Tensor) => {
    const group = valueHeads / keyHeads;
    if (group === 1) return x;
    const repeated = tf.mul(tf.reshape(x, [R * keyHeads, 1, c * C * K]), tf.ones([1, group, 1]));
    return tf.reshape(repeated, [R, valueHeads, c, C, K]);
  };
  const normed = (x: tf.Tensor) => tf.mul(x, tf.rsqrt(tf.add(tf.sum(tf.square(x), -1, true), NORM_EPSILON)));

  const queries = spread(tf.mul(normed(chunked(q!, keyHeads)), 1 / Math.sqrt(K)));
  const keys = spread(normed(chunked(k!, keyHeads)));
  const rates = chunked(rate!, valueHeads); // (R, H, c, C, 1)
  const values = tf.mul(chunked(v!, valueHeads), rates);
  const corrected = tf.mul(keys, rates);

  // The sum of the logarithms up to each position of its chunk, as a column and as a row.
  const upTo = tf.reshape(
    triangle(C, (i, j) => i <= j),
    [C, C],
  );
  const sums = tf.matMul(tf.reshape(chunked(decay!, valueHeads), [R * valueHeads * c, C]), upTo);
  const column = tf.reshape(sums, [R, valueHeads, c, C, 1]);
  const row = tf.reshape(sums, [R, valueHeads, c, 1, C]);
  const end = tf.slice(column, [0, 0, 0, C - 1, 0], [R, valueHeads, c, 1, 1]);
  /** e^x for x ≤ 0. Where x > 0, the result is masked, and must be finite. */
  const factor = (x: tf.Tensor) => tf.exp(tf.neg(tf.maximum(tf.neg(x), 0)));
  const between = tf.mul(factor(tf.sub(column, row)), masks.within); // (R, H, c, C, C)
  const entering = tf.mul(tf.exp(column), masks.reads);
  const leaving = tf.mul(factor(tf.sub(end, column)), masks.writes);

  const links = tf.mul(tf.matMul(corrected, keys, false, true), between);
  const scores = tf.mul(tf.matMul(queries, keys, false, true), between);
  const written = tf.mul(keys, leaving); // (R, H, c, C, K)
  const together = tf.concat([values, tf.mul(corrected, entering)], -1);
  const solved =
    C === 1
      ? together
      : solve(
          tf.mul(
            links,
            triangle(C, (i, j) => j < i),
          ),
          together,
        );
  const [own, old] = tf.split(solved, [V, K], -1) as [tf.Tensor, tf.Tensor];

  const flat = (x: tf.Tensor, count: number) =>
    tf.reshape(tf.slice(x, [0, 0, 0, 0, 0], [R, valueHeads, count, ...x.shape.slice(3)]), [
      R * valueHeads,
      count,
      ...x.shape.slice(3),
    ]);
  // The share of the state before a chunk that remains at its last position.
  const kept = tf.slice(entering, [0, 0, 0, C - 1, 0], [R, valueHeads, c, 1, 1]);
  let changes = own;
  let fromState: tf.Tensor | null = null;
  let last: tf.Tensor | null = null;
  if (first || c > 1) {
    const start = first ? tf.reshape(first, [R * valueHeads, 1, K, V]) : tf.zeros([R * valueHeads, 1, K, V]);
    const states = tf.reshape(statesBefore(start), [R, valueHeads, c, K, V]);
    changes = tf.sub(own, tf.matMul(old, states));
    fromState = tf.matMul(tf.mul(queries, entering), states);
    if (first) {
      const at = (x: tf.Tensor) => tf.slice(x, [0, 0, c - 1, 0, 0], [R, valueHeads, 1, ...x.shape.slice(3)]);
      const added = tf.matMul(at(written), at(changes), true);
      last = tf.reshape(tf.add(tf.mul(at(states), at(kept)), added), [R, valueHeads, K, V]);
    }
  }
  const within = tf.matMul(scores, changes);
  const y = fromState ? tf.add(within, fromState) : within;
  const byPosition = tf.transpose(tf.reshape(y, [R, valueHeads, c * C, V]), [0, 2, 1, 3]);
  const used = tf.slice(byPosition, [0, 0, 0, 0], [R, tokens, valueHeads, V]);
  return { y: tf.reshape(used, [R * tokens, valueHeads * V]), last };

  /** The state before each chunk, `(R · H, c, K, V)`. */
  function statesBefore(start: tf.Tensor): tf.Tensor {
    if (c === 1) return start;
    const keysWritten = flat(written, c - 1);
    const identity = tf.reshape(
      triangle(K, (i, j) => i === j),
      [1, 1, K, K],
    );
    const m = tf.sub(tf.mul(identity, flat(kept, c - 1)), tf.matMul(keysWritten, flat(old, c - 1), true));
    return chunkStates(m, tf.matMul(keysWritten, flat(own, c - 1), true), start);
  }
}

/** Solves `(1 + a) x = b` with a strictly lower triangular `(…, C, C)` and b `(…, C, W)`. */
function solve(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const C = a.shape.at(-1)!;
  const solved = (a: tf.Tensor, b: tf.Tensor, adjoint: boolean) =>
    rawOp(
      'MatrixTriangularSolve',
      [attr.bool('lower', true), attr.bool('adjoint', adjoint)],
      [
        tf.add(
          a,
          triangle(C, (i, j) => i === j),
        ),
        b,
      ],
    )[0]!;
  const x = solved(a, b, false);
  return customGradient({
    inputs: { a, b },
    keep: { a, x },
    value: () => x,
    gradient(dx, { a, x }) {
      const db = solved(a, dx, true);
      return { a: tf.neg(tf.matMul(db, x, false, true)), b: db };
    },
  });
}

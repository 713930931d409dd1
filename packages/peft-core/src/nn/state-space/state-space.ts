import { tf } from '@graft/tf-graph';
import { stateSpaceGroups } from '../../block-sizes/delta-groups.ts';
import { exactly, flowing, graphTarget, withComputation } from '../computation.ts';
import { chunkStates } from '../delta-rule/chunk-states.ts';
import type { DeltaHeads, DeltaInputs } from '../delta-rule/delta-rule.ts';
import { inHeadGroups } from '../delta-rule/head-groups.ts';
import { type SegmentChunks, triangle } from '../delta-rule/segment-chunks.ts';

/**
 * The state space of Mamba-2. Each value head has a state S `(keySize, valueSize)`, zero at the start of a segment; position t decays it,
 * writes its value under its key and reads with its query: `S ← e^decay · S + rate · k vᵀ`; `y = Sᵀq`. In the paper q, k, v and rate are C,
 * B, x and Δ. Computed in float32, in chunks of 64 positions, by stock operations. Returns `(N, valueHeads · valueSize)`. Keeps its inputs
 * and recomputes the rest, for a group of heads at a time; memory grows linearly with the positions. Sources: Dao and Gu 2024,
 * arXiv:2405.21060, section 6; transformers 5.24, mamba2_chunk_scan.
 */
export function stateSpace(inputs: DeltaInputs, heads: DeltaHeads, chunks: SegmentChunks): tf.Tensor {
  const { q, k, v, decay, rate } = inputs;
  const { masks, ...sizes } = chunks;
  const { groups } = stateSpaceGroups({ ...sizes, ...heads }, graphTarget());
  const keyParts = Math.min(groups, heads.keyHeads);
  const own = { ...heads, keyHeads: heads.keyHeads / keyParts, valueHeads: heads.valueHeads / groups };
  return inHeadGroups(
    [q, k, v, decay, rate],
    [keyParts, keyParts, groups, groups, groups],
    masks!,
    (parts, masks) => inChunks(parts, own, { ...sizes, masks }, null).y,
  );
}

/**
 * The same for rows that continue a sequence each, from `state` `(R, valueHeads, keySize, valueSize)`, in whatever order its numbers are
 * written. Returns the state after the last position, too: positions with decay 0 and rate 0 leave it as it was. No gradient flows.
 */
export function continuedStateSpace(
  { q, k, v, decay, rate }: DeltaInputs,
  heads: DeltaHeads,
  chunks: SegmentChunks,
  state: tf.Tensor,
): { y: tf.Tensor; state: tf.Tensor } {
  const { y, last } = withComputation({ precision: 'fp32' }, () =>
    inChunks([q, k, v, decay, rate].map(exactly), heads, chunks, state),
  );
  return { y: flowing(y), state: tf.reshape(last!, state.shape) };
}

/** In float32. The last state is null without a first one. G key heads serve g value heads each; c chunks of C positions. */
function inChunks(
  [q, k, v, decay, rate]: readonly tf.Tensor[],
  { keyHeads: G, valueHeads, keySize: K, valueSize: V }: DeltaHeads,
  { rows: R, tokens, size: C, count: c, masks }: SegmentChunks,
  first: tf.Tensor | null,
): { y: tf.Tensor; last: tf.Tensor | null } {
  const g = valueHeads / G;
  const { within, reads, writes } = masks!;
  /** `(N, G · width)` → `(R, G, c, C, width)`, with zeros after the last position. */
  const chunked = (x: tf.Tensor) => {
    const width = x.shape[1]! / G;
    const missing = c * C - tokens;
    const rows = tf.reshape(x, [R, tokens, G * width]);
    const whole = missing > 0 ? tf.concat([rows, tf.zeros([R, missing, G * width])], 1) : rows;
    return tf.transpose(tf.reshape(whole, [R, c, C, G, width]), [0, 3, 1, 2, 4]);
  };
  /** Swaps the axes of positions and value heads, `(R, G, c, C, g, …)` and `(R, G, c, g, C, …)`. */
  const swapped = (x: tf.Tensor) => tf.transpose(x, [0, 1, 2, 4, 3, 5]);
  const byHead = (x: tf.Tensor) => tf.reshape(x, [R, G, c, C, g, x.shape[4]! / g]);
  const sideBySide = (x: tf.Tensor) => tf.reshape(x, [R, G, c, C, g * V]);

  const [queries, keys] = [chunked(q!), chunked(k!)]; // (R, G, c, C, K)
  const values = tf.mul(byHead(chunked(v!)), byHead(chunked(rate!))); // (R, G, c, C, g, V)

  // The sum of the logarithms up to each position of its chunk, as a column and as a row.
  const upTo = tf.reshape(
    triangle(C, (i, j) => i <= j),
    [C, C],
  );
  const logarithms = tf.reshape(swapped(byHead(chunked(decay!))), [R * G * c * g, C]);
  const sums = tf.matMul(logarithms, upTo);
  const column = tf.reshape(sums, [R, G, c, g, C, 1]);
  const row = tf.reshape(sums, [R, G, c, g, 1, C]);
  const end = tf.slice(column, [0, 0, 0, 0, C - 1, 0], [R, G, c, g, 1, 1]);
  /** e^x for x ≤ 0. Where x > 0, the result is masked, and must be finite. */
  const factor = (x: tf.Tensor) => tf.exp(tf.neg(tf.maximum(tf.neg(x), 0)));
  const between = tf.mul(factor(tf.sub(column, row)), tf.expandDims(within, 3));
  const entering = tf.mul(tf.exp(column), tf.expandDims(reads, 3));
  const leaving = tf.mul(factor(tf.sub(end, column)), tf.expandDims(writes, 3));

  // A key head's scores are those of all its value heads but for the decay.
  const scores = tf.reshape(tf.matMul(queries, keys, false, true), [R, G, c, 1, C, C]);
  const inside = swapped(tf.matMul(tf.mul(scores, between), swapped(values))); // (R, G, c, C, g, V)
  if (!first && c === 1) return { y: positions(inside), last: null };

  const written = sideBySide(tf.mul(values, swapped(leaving)));
  const added = tf.reshape(tf.matMul(keys, written, true), [R * G, c, K, g * V]);
  const kept = tf.mul(
    tf.reshape(tf.slice(entering, [0, 0, 0, 0, C - 1, 0], [R, G, c, g, 1, 1]), [R * G, c, g, 1]),
    tf.ones([1, 1, 1, V]),
  );
  const factors = tf.reshape(kept, [R * G, c, 1, g * V]);
  const start = first ? tf.reshape(first, [R * G, 1, K, g * V]) : tf.zeros([R * G, 1, K, g * V]);
  const most = (x: tf.Tensor, count: number) =>
    tf.slice(x, [0, 0, 0, 0], [R * G, count, x.shape[2]!, x.shape[3]!]);
  const steps = first ? c : c - 1;
  const states = chunkStates(most(factors, steps), most(added, steps), start, tf.mul);
  const before = tf.reshape(most(states, c), [R, G, c, K, g * V]);
  const fromState = tf.mul(byHead(tf.matMul(queries, before)), swapped(entering));
  const last = first ? tf.slice(states, [0, c, 0, 0], [R * G, 1, K, g * V]) : null;
  return { y: positions(tf.add(inside, fromState)), last };

  /** `(R, G, c, C, g, V)` → `(N, valueHeads · V)` */
  function positions(y: tf.Tensor): tf.Tensor {
    const byPosition = tf.transpose(sideBySide(y), [0, 2, 3, 1, 4]);
    const rows = tf.reshape(byPosition, [R, c * C, valueHeads * V]);
    return tf.reshape(tf.slice(rows, [0, 0, 0], [R, tokens, valueHeads * V]), [R * tokens, valueHeads * V]);
  }
}

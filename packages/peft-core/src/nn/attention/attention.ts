import { customGradient, tf, withControlDependency } from '@graft/tf-graph';
import { dropoutMask, nextSeed, type RandomState } from '../dropout.ts';
import { matmul } from '../matmul.ts';

/** Added to a score where attention is not allowed. Finite, so that a row with everything masked does not become NaN. */
const MASKED = -1e9;

/** Which sequence a position of packed rows belongs to, `(rows · T)` int32 each. */
export interface PackedPositions {
  /** The number of its sequence within its row; 0 is padding. */
  segments: tf.Tensor;
  /** The number of the sequence that is its own one's beginning; −1 for none. Absent: nothing is shared. */
  parents?: tf.Tensor;
  /** Counted from the sequence's start. */
  positions: tf.Tensor;
}

/**
 * Additive mask `(rows, 1, T, T)` of packed rows: a token sees the keys of its own segment, and of the one that is its beginning,
 * that are not later than itself and fewer than `window` positions ago. Padding sees only padding.
 */
export function packedCausalMask(
  { segments, parents, positions }: PackedPositions,
  rows: number,
  tokens: number,
  window: number | null = null,
): tf.Tensor {
  // How many positions ago a key was: negative when it is later.
  const ago = tf.sub(tf.reshape(positions, [rows, tokens, 1]), tf.reshape(positions, [rows, 1, tokens]));
  const own = sameSegment(segments, segments, rows);
  const seen = parents ? tf.logicalOr(own, sameSegment(parents, segments, rows)) : own;
  return additiveMask(tf.logicalAnd(seen, withinWindow(ago, window)), [rows, 1, tokens, tokens]);
}

/**
 * Additive mask `(rows, 1, n, T)`: a token sees every key of its own segment. An encoder's own tokens, or a decoder's over an
 * encoder packed alike. segments `(rows · n)` and keySegments `(rows · T)` int32.
 */
export function packedMask(segments: tf.Tensor, keySegments: tf.Tensor, rows: number): tf.Tensor {
  const shape = [rows, 1, segments.shape[0]! / rows, keySegments.shape[0]! / rows];
  return additiveMask(sameSegment(segments, keySegments, rows), shape);
}

/** Additive mask `(rows, 1, n, length)` over keys at the positions 0…length − 1 for queries at `positions` `(rows · n)` int32. */
export function cachedMask(
  positions: tf.Tensor,
  rows: number,
  length: number,
  window: number | null = null,
): tf.Tensor {
  const n = positions.shape[0]! / rows;
  const ago = tf.sub(tf.reshape(positions, [rows, n, 1]), tf.range(0, length, 1, 'int32'));
  return additiveMask(withinWindow(ago, window), [rows, 1, n, length]);
}

/** Additive mask `(rows, 1, 1, tokens)`: the first `lengths` `(rows)` int32 of each input are there, the rest is padding. */
export function lengthsMask(lengths: tf.Tensor, tokens: number): tf.Tensor {
  const rows = lengths.shape[0]!;
  const there = tf.less(tf.range(0, tokens, 1, 'int32'), tf.reshape(lengths, [rows, 1]));
  return additiveMask(there, [rows, 1, 1, tokens]);
}

/**
 * Additive mask `(rows, 1, n, length)` over keys at the positions 0…length − 1 before every sequence. Every token sees them
 * unless they are outside its window. positions `(rows · n)` int32 count those keys too.
 */
export function prefixMask(
  positions: tf.Tensor,
  rows: number,
  length: number,
  window: number | null = null,
): tf.Tensor {
  const n = positions.shape[0]! / rows;
  if (window === null) return tf.zeros([rows, 1, n, length]);
  const ago = tf.sub(tf.reshape(positions, [rows, n, 1]), tf.range(0, length, 1, 'int32'));
  return additiveMask(tf.less(ago, window), [rows, 1, n, length]);
}

/** `(rows, n, T)` bool. */
function sameSegment(own: tf.Tensor, other: tf.Tensor, rows: number): tf.Tensor {
  return tf.equal(tf.reshape(own, [rows, -1, 1]), tf.reshape(other, [rows, 1, -1]));
}

function withinWindow(ago: tf.Tensor, window: number | null): tf.Tensor {
  const notLater = tf.greaterEqual(ago, 0);
  return window === null ? notLater : tf.logicalAnd(notLater, tf.less(ago, window));
}

function additiveMask(allowed: tf.Tensor, shape: number[]): tf.Tensor {
  return tf.reshape(tf.mul(tf.sub(tf.cast(allowed, 'float32'), 1), -MASKED), shape);
}

export interface AttentionOptions {
  /** Added to the scores, `(B or 1, heads, n, T)`; it has a gradient. */
  bias?: tf.Tensor | undefined;
  /** Drops probabilities, as the base model does while it trains. */
  dropout?: { probability: number; random: RandomState } | undefined;
}

/**
 * Softmax attention with grouped queries. q `(B, heads, n, D)` already scaled, k and v `(B, kvHeads, T, D)`, mask additive,
 * `(B or 1, 1, n, T)`. Returns `(B, heads, n, D)`.
 * Keeps q, k and v only: the probabilities are the largest tensors of a block and are recomputed for the backward pass.
 */
export function attention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  mask: tf.Tensor,
  { bias, dropout }: AttentionOptions = {},
): tf.Tensor {
  const [batch, heads, n, width] = q.shape as [number, number, number, number];
  const [kvHeads, tokens] = [k.shape[1]!, k.shape[2]!];
  // Query heads that share a key head are stacked along the rows: no copy of k or v for each of them.
  const grouped = [batch * kvHeads, (heads / kvHeads) * n, width];
  const flatKeys = [batch * kvHeads, tokens, width];
  const flatScores = [batch * kvHeads, (heads / kvHeads) * n, tokens];
  const probabilities = (q: tf.Tensor, k: tf.Tensor, mask: tf.Tensor, bias?: tf.Tensor) => {
    const scores = tf.reshape(matmul(q, k, false, true), [batch, heads, n, tokens]);
    const biased = bias ? tf.add(scores, bias) : scores;
    return tf.reshape(tf.softmax(tf.add(biased, mask), -1), flatScores);
  };
  const drops = dropout && dropout.probability > 0 ? dropout : null;
  const seed = drops ? nextSeed(drops.random) : undefined;
  /** `p`, or a gradient of it, with the dropped ones gone. */
  const drop = (p: tf.Tensor, seed: tf.Tensor | undefined, after: tf.Tensor) =>
    drops && seed ? tf.mul(p, dropoutMask(flatScores, drops.probability, seed, after)) : p;

  const inputs = { q: tf.reshape(q, grouped), k: tf.reshape(k, flatKeys), v: tf.reshape(v, flatKeys), bias };
  const result = customGradient({
    inputs,
    keep: { ...inputs, mask, seed },
    value: () => matmul(drop(probabilities(inputs.q, inputs.k, mask, bias), seed, inputs.q), inputs.v),
    gradient(dy, { k, v, bias, mask, seed, ...kept }) {
      const q = withControlDependency(kept.q, dy);
      const p = probabilities(q, k, mask, bias); // as the scores
      const dp = tf.mul(p, drop(matmul(dy, v, false, true), seed, dy));
      const ds = tf.sub(dp, tf.mul(p, tf.sum(dp, -1, true)));
      const dBias = (bias: tf.Tensor) => {
        const each = tf.reshape(ds, [batch, heads, n, tokens]);
        return bias.shape[0] === batch ? each : tf.sum(each, 0, true);
      };
      return {
        q: matmul(ds, k),
        k: matmul(ds, q, true),
        v: matmul(drop(p, seed, dy), dy, true),
        bias: bias && dBias(bias),
      };
    },
  });
  return tf.reshape(result, [batch, heads, n, width]);
}

import { attr, customGradient, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { exactly, flowing } from '../computation.ts';
import { nextSeed, noSeed, type RandomState } from '../dropout.ts';
import { costly } from '../recompute.ts';
import type { Heads, Projections } from './heads.ts';

export interface SegmentAttentionOptions {
  /** A token sees no later token. */
  causal: boolean;
  /** Number of positions that a token sees, itself included; null: unlimited. */
  window: number | null;
  /** Keys and values are those of another list of positions; in `spans` a segment's range of keys takes the place of its prefix. */
  cross?: boolean;
  /** The table of `AttentionSite.relative`; it has a gradient. */
  relative?: tf.Tensor | undefined;
  /** Dropout of the probabilities, the same as that of `attention` with the list as one row. */
  dropout?: { probability: number; random: RandomState } | undefined;
  /** As in `AttentionSite`; it has a gradient. */
  sinks?: tf.Tensor | undefined;
}

/**
 * Softmax attention within segments by Graft's kernel, which also rotates and scales queries and keys. `spans` `(S, 4)` int32 holds
 * for each segment the start and end of its positions, and of the prefix that it shares; 0, 0 without a prefix. A prefix that is the whole
 * of a segment that has a prefix follows that one; no more than two follow each other. Segments with start = end are ignored. Returns `(N, heads · D)`; 0 at positions of no segment. Keeps its inputs, its output and one number per head and
 * position; memory grows linearly with a segment's length. The stock reference is `attention`.
 */
export function segmentAttention(
  projections: Projections,
  { heads, kvHeads, headSize, scale, rotation }: Heads,
  spans: tf.Tensor,
  { causal, window, cross = false, relative, dropout, sinks }: SegmentAttentionOptions,
): tf.Tensor {
  const probability = dropout?.probability ?? 0;
  const attributes = [
    attr.int('heads', heads),
    attr.int('kv_heads', kvHeads),
    attr.int('head_size', headSize),
    attr.float('scale', scale),
    attr.bool('causal', causal),
    attr.int('window', window ?? 0),
    attr.bool('cross', cross),
    attr.float('dropout', probability),
  ];
  const none = tf.zeros([0, 0]);
  const seed = dropout && probability > 0 ? nextSeed(dropout.random) : noSeed();
  const bias = relative ?? none;
  const { cosines, sines } = rotation ?? { cosines: none, sines: none };
  const parts = projections.map(flowing);
  const scores = sinks ?? tf.zeros([0]);
  const attended = () =>
    rawOp('GraftAttention', attributes, [...parts, cosines, sines, spans, bias, seed, scores]);
  const [y, logSums] = costly(attended) as [tf.Tensor, tf.Tensor];
  return customGradient({
    inputs: { parts, relative, sinks },
    keep: { parts, cosines, sines, spans, bias, seed, y, logSums, sinks },
    value: () => y,
    gradient(dy, { parts, cosines, sines, spans, bias, seed, y, logSums, sinks }) {
      const [first, ...others] = parts;
      const gradients = rawOp('GraftAttentionGradient', attributes, [
        withControlDependency(first!, dy),
        ...others,
        cosines,
        sines,
        spans,
        bias,
        seed,
        y,
        logSums,
        flowing(dy),
      ]);
      return {
        parts: gradients.slice(0, parts.length),
        relative: relative && gradients.at(-1)!,
        sinks: sinks && sinksGradient(sinks, logSums, y, dy),
      };
    },
  });
}

/**
 * The gradient `(heads)` of sinks: minus each softmax's share of its sink times the output's product with its gradient. Of positions
 * outside of segments the output is 0.
 */
function sinksGradient(sinks: tf.Tensor, logSums: tf.Tensor, y: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  const [heads] = sinks.shape as [number];
  const shares = tf.exp(tf.sub(tf.expandDims(sinks, 0), logSums)); // (N, heads)
  const products = tf.reshape(tf.mul(exactly(y), exactly(dy)), [-1, heads, y.shape[1]! / heads]);
  return tf.neg(tf.sum(tf.mul(shares, tf.sum(products, 2)), 0));
}

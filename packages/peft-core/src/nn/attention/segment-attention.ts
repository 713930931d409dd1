import { attr, customGradient, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { flowing } from '../computation.ts';
import type { Heads, Projections } from './heads.ts';

export interface SegmentAttentionOptions {
  /** A token sees no later one. */
  causal: boolean;
  /** Positions that a token sees, itself included; null without a limit. */
  window: number | null;
}

/**
 * Softmax attention within segments by Graft's kernel; queries and keys are turned and scaled in it. `spans` `(S, 4)` int32 holds
 * for each where it begins and ends among the positions, and where the prefix that it shares does; 0, 0 without one. A segment
 * that ends where it begins is none. Returns `(N, heads · D)`; 0 at positions of no segment. It keeps its inputs, its output
 * and a number a head, and memory grows with a segment's length, not its square. Stock reference: `attention`.
 */
export function segmentAttention(
  projections: Projections,
  { heads, kvHeads, headSize, scale, rotation }: Heads,
  spans: tf.Tensor,
  { causal, window }: SegmentAttentionOptions,
): tf.Tensor {
  const attributes = [
    attr.int('heads', heads),
    attr.int('kv_heads', kvHeads),
    attr.int('head_size', headSize),
    attr.float('scale', scale),
    attr.bool('causal', causal),
    attr.int('window', window ?? 0),
  ];
  const none = tf.zeros([0, 0]);
  const { cosines, sines } = rotation ?? { cosines: none, sines: none };
  const parts = projections.map(flowing);
  const [y, logSums] = rawOp('GraftAttention', attributes, [...parts, cosines, sines, spans]) as [
    tf.Tensor,
    tf.Tensor,
  ];
  return customGradient({
    inputs: { parts },
    keep: { parts, cosines, sines, spans, y, logSums },
    value: () => y,
    gradient: (dy, kept) => ({
      parts: rawOp('GraftAttentionGradient', attributes, [
        withControlDependency(kept.parts[0]!, dy),
        ...kept.parts.slice(1),
        ...[kept.cosines, kept.sines, kept.spans, kept.y, kept.logSums, flowing(dy)],
      ]),
    }),
  });
}

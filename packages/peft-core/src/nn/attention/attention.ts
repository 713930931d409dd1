import { customGradient, tf, withControlDependency } from '@graft/tf-graph';
import { planBlocks } from '../../block-sizes/plan-blocks.ts';
import { flowing, scoreBytes, usesKernels } from '../computation.ts';
import { dropoutMask, nextSeed, type RandomState } from '../dropout.ts';
import { flowingMatmul, matmul } from '../matmul.ts';
import { attentionInBlocks } from './attention-in-blocks.ts';
import type { Mask } from './masks.ts';
import { type ScoreBias, scoreBias } from './score-bias.ts';
import { softmaxWithSinks } from './sinks.ts';

export interface AttentionOptions {
  /** Added to the scores; as a tensor, `(B or 1, heads, n, T)`. */
  bias?: tf.Tensor | ScoreBias | undefined;
  /** Dropout of the probabilities, as in the base model's training. */
  dropout?: { probability: number; random: RandomState } | undefined;
  /** As in `AttentionSite`; it has a gradient. */
  sinks?: tf.Tensor | undefined;
}

/**
 * Softmax attention with grouped queries. q `(B, heads, n, D)` is already scaled; k and v `(B, kvHeads, T, D)`. Returns
 * `(B, heads, n, D)`. Memory grows linearly with the positions: at most `scoreBytes` of scores exist at a time.
 */
export function attention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  mask: Mask,
  { bias: given, dropout, sinks }: AttentionOptions = {},
): tf.Tensor {
  const bias = given && 'whole' in given ? given : scoreBias(given, undefined, 0);
  const [rows, heads, queries] = q.shape as [number, number, number];
  const [kvHeads, keys] = [k.shape[1]!, k.shape[2]!];
  const shape = { rows, kvHeads, group: heads / kvHeads, queries, keys };
  const skewed = bias?.relative !== undefined;
  const plan = planBlocks(shape, scoreBytes(q.size), { visibleKeys: mask.visibleKeys, skewed });
  if (plan) return attentionInBlocks(q, k, v, mask, plan, { bias, dropout, sinks });
  return wholeAttention(q, k, v, mask.additive(), { bias: bias?.whole(), dropout, sinks });
}

interface WholeOptions {
  bias?: tf.Tensor | undefined;
  dropout?: AttentionOptions['dropout'];
  sinks?: tf.Tensor | undefined;
}

/** `attention` in one block. `mask` is added to the scores, `(B or 1, 1, n, T)`. Keeps q, k and v, and recomputes the probabilities. */
export function wholeAttention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  mask: tf.Tensor,
  { bias, dropout, sinks }: WholeOptions = {},
): tf.Tensor {
  const [batch, heads, n, width] = q.shape as [number, number, number, number];
  const [kvHeads, tokens] = [k.shape[1]!, k.shape[2]!];
  // Query heads that share a key head are stacked along the rows, so that k and v need no copy for each query head.
  const grouped = [batch * kvHeads, (heads / kvHeads) * n, width];
  const flatKeys = [batch * kvHeads, tokens, width];
  const flatScores = [batch * kvHeads, (heads / kvHeads) * n, tokens];
  const probabilities = (
    q: tf.Tensor,
    k: tf.Tensor,
    mask: tf.Tensor,
    bias?: tf.Tensor,
    sinks?: tf.Tensor,
  ) => {
    const scores = tf.reshape(matmul(q, k, false, true), [batch, heads, n, tokens]);
    const biased = bias ? tf.add(scores, bias) : scores;
    const own = sinks && tf.reshape(sinks, [1, heads, 1, 1]);
    const { keys, sink } = softmaxWithSinks(tf.add(biased, mask), own);
    return { p: tf.reshape(keys, flatScores), sink };
  };
  const drops = dropout && dropout.probability > 0 ? dropout : null;
  const seed = drops ? nextSeed(drops.random) : undefined;
  /** Applies dropout to `p` or to a gradient of `p`. */
  const drop = (p: tf.Tensor, seed: tf.Tensor | undefined, after: tf.Tensor) =>
    drops && seed ? tf.mul(p, dropoutMask(flatScores, drops.probability, seed, after)) : p;

  // With kernels, the float32 results of products are passed on unconverted.
  const [product, stored] = usesKernels() ? [matmul, (x: tf.Tensor) => x] : [flowingMatmul, flowing];
  const inputs = {
    q: stored(tf.reshape(q, grouped)),
    k: stored(tf.reshape(k, flatKeys)),
    v: stored(tf.reshape(v, flatKeys)),
    bias,
    sinks,
  };
  const result = customGradient({
    inputs,
    keep: { ...inputs, mask, seed },
    value: () =>
      product(drop(probabilities(inputs.q, inputs.k, mask, bias, sinks).p, seed, inputs.q), inputs.v),
    gradient(dy, { k, v, bias, sinks, mask, seed, ...kept }) {
      const q = withControlDependency(kept.q, dy);
      const { p, sink } = probabilities(q, k, mask, bias, sinks); // shape of the scores
      const dp = tf.mul(p, drop(matmul(dy, v, false, true), seed, dy));
      const sums = tf.sum(dp, -1, true);
      const ds = tf.sub(dp, tf.mul(p, sums));
      const dBias = (bias: tf.Tensor) => {
        const each = tf.reshape(ds, [batch, heads, n, tokens]);
        return bias.shape[0] === batch ? each : tf.sum(each, 0, true);
      };
      return {
        q: product(ds, k),
        k: product(ds, q, true),
        v: product(drop(p, seed, dy), dy, true),
        bias: bias && dBias(bias),
        sinks: sink && tf.neg(tf.sum(tf.mul(sink, tf.reshape(sums, sink.shape)), [0, 2, 3])),
      };
    },
  });
  return tf.reshape(result, [batch, heads, n, width]);
}

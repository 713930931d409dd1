import { tf } from '@graft/tf-graph';
import { gatedProduct } from '../nn/activations.ts';
import { type Projections, queriesKeysValues } from '../nn/attention/heads.ts';
import { type Rotation, rotationOf } from '../nn/attention/rotary.ts';
import type { Columns } from '../nn/columns.ts';
import { flowing } from '../nn/computation.ts';
import type { DecoderOutline } from '../outlines/decoder.ts';
import type { Architecture, ModelRuntime, TokenGrid } from './architecture.ts';

/** Tensors that all blocks share. */
interface Shared {
  /** For each of the outline's ropes. */
  rotations: Rotation[];
  /** Factor of the queries by position, `(N, 1)`; null: 1. */
  growth: tf.Tensor | null;
}

const scaled = (x: tf.Tensor, factor: number): tf.Tensor => (factor === 1 ? x : tf.mul(x, factor));

/**
 * Decoders: blocks of grouped-query attention with rotary positions and a gated feed-forward network, with RMSNorm before each, after
 * each, or both. Names are transformers' state-dict keys.
 */
export function decoder(outline: DecoderOutline): Architecture {
  const { heads, kvHeads, headSize: D, layers, epsilon, normShift, task, prefix, factors, norms } = outline;
  const ownHeads = { heads, kvHeads, headSize: D, scale: factors.scores };

  /** Applies the norm `name` to x, if there is one. */
  const normed = (runtime: ModelRuntime, path: string, name: string | undefined, x: tf.Tensor) =>
    name === undefined ? x : runtime.rmsNorm(`${path}.${name}`, x, epsilon, normShift);

  function queriesAndKeys(
    runtime: ModelRuntime,
    path: string,
    all: Projections,
    growth: tf.Tensor | null,
  ): Projections {
    const kind = outline.queryKeyNorms;
    if (!kind && !growth) return all;
    /** RMSNorm of t `(N, count · D)`: of each head, or of all together. */
    const norm = (module: string, t: tf.Tensor) => {
      if (kind !== 'head') return normed(runtime, path, kind ? module : undefined, t);
      const [rows, width] = t.shape as [number, number];
      const split = tf.reshape(t, [rows, width / D, D]);
      return tf.reshape(normed(runtime, path, module, split), [rows, width]);
    };
    const { q, k, v } = queriesKeysValues(all, ownHeads);
    const own = norm('q_norm', q);
    return [growth ? flowing(tf.mul(own, growth)) : own, norm('k_norm', k), v];
  }

  function projections(runtime: ModelRuntime, path: string, x: tf.Tensor): Columns {
    if (outline.fused) return [runtime.linear(`${path}.qkv_proj`, x)];
    return runtime.linears(
      ['q_proj', 'k_proj', 'v_proj'].map((name) => `${path}.${name}`),
      x,
    );
  }

  function gateAndUp(runtime: ModelRuntime, path: string, x: tf.Tensor): Columns {
    if (outline.fused) return [runtime.linear(`${path}.gate_up_proj`, x)];
    return runtime.linears([`${path}.gate_proj`, `${path}.up_proj`], x);
  }

  function block(runtime: ModelRuntime, layer: number, x: tf.Tensor, shared: Shared): tf.Tensor {
    const path = `${prefix}layers.${layer}`;
    const [attention, network] = [`${path}.self_attn`, `${path}.mlp`];
    /** What becomes of a sublayer's output before it is added. */
    const finish = (norm: string | undefined) => (output: tf.Tensor) =>
      normed(
        runtime,
        path,
        norm,
        scaled(runtime.dropout(output, outline.dropout.residual), factors.sublayer),
      );

    const rope = outline.rope(layer);
    const h = normed(runtime, path, norms.attention.before, x); // (N, H)
    const attended = runtime.attend(
      {
        layer,
        window: outline.window(layer),
        dropout: outline.dropout.attention,
        ...ownHeads,
        ...(rope === null ? {} : { rotation: shared.rotations[rope]! }),
      },
      queriesAndKeys(runtime, attention, projections(runtime, attention, h), shared.growth),
    ); // (N, heads · D)
    const output = runtime.linear(`${attention}.o_proj`, runtime.rowsRead(layer, attended));
    const afterAttention = runtime.residualAdd(
      { layer, sublayer: 'attention', module: `${path}.attention_adapters` },
      output,
      runtime.rowsRead(layer, x),
      undefined,
      finish(norms.attention.after),
    );

    const m = normed(runtime, path, norms.feedForward.before, afterAttention);
    const wide = gatedProduct(outline.activation, gateAndUp(runtime, network, m)); // (N, I)
    const down = runtime.linear(`${network}.down_proj`, wide);
    return runtime.residualAdd(
      { layer, sublayer: 'feed_forward', module: `${path}.output_adapters` },
      down,
      afterAttention,
      undefined,
      finish(norms.feedForward.after),
    );
  }

  function sharedTensors(runtime: ModelRuntime, grid: TokenGrid): Shared {
    const rotations = outline.ropes.map((rope) => {
      const angles = rotationOf(grid.positions, rope.inverseFrequencies, rope.attentionFactor);
      return { cosines: runtime.constant(angles.cosines), sines: runtime.constant(angles.sines) };
    });
    const { queryGrowth } = outline;
    return { rotations, growth: queryGrowth && runtime.constant(growthOf(grid.positions, queryGrowth)) };
  }

  return {
    ...outline,
    attention: 'causal',
    drops: outline.dropout.attention > 0 || outline.dropout.residual > 0,
    body(runtime, ids, grid) {
      const shared = sharedTensors(runtime, grid);
      let x = scaled(runtime.embedding(outline.tokenEmbedding, ids), factors.stream);
      for (let layer = 0; layer < layers; layer++) {
        x = runtime.block(`${prefix}layers.${layer}`, x, (x) => block(runtime, layer, x, shared));
      }
      return x;
    },
    finalNorm(runtime, hidden) {
      const normed = runtime.rmsNorm(`${prefix}norm`, hidden, epsilon, normShift);
      // The head is linear and has no bias, so that its input can be scaled instead of its output.
      return task === 'CAUSAL_LM' ? scaled(normed, factors.logits) : normed;
    },
    languageHead: task === 'CAUSAL_LM' ? 'lm_head' : null,
    ...(task === 'FEATURE_EXTRACTION'
      ? {}
      : {
          logits: (runtime: ModelRuntime, hidden: tf.Tensor) => {
            if (task === 'CAUSAL_LM') return runtime.linear('lm_head', hidden);
            const dropped =
              task === 'TOKEN_CLS' ? runtime.dropout(hidden, outline.dropout.classifier) : hidden;
            return runtime.linear('score', dropped);
          },
        }),
  };
}

/** `1 + weight · ln(1 + ⌊p / span⌋)` for positions p `(N)` int32, `(N, 1)`. */
function growthOf(
  positions: tf.Tensor,
  { weight, span }: NonNullable<DecoderOutline['queryGrowth']>,
): tf.Tensor {
  const spans = tf.floor(tf.div(tf.cast(positions, 'float32'), span));
  return tf.reshape(tf.add(1, tf.mul(tf.log(tf.add(1, spans)), weight)), [-1, 1]);
}

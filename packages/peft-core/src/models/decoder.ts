import { tf } from '@graft/tf-graph';
import { gatedProduct } from '../nn/activations.ts';
import { type Projections, queriesKeysValues } from '../nn/attention/heads.ts';
import { type Rotation, rotationOf } from '../nn/attention/rotary.ts';
import type { DecoderOutline } from '../outlines/decoder.ts';
import type { Architecture, ModelRuntime } from './architecture.ts';

const projections = (path: string) =>
  ['q_proj', 'k_proj', 'v_proj'].map((name) => `${path}.self_attn.${name}`);

/**
 * Pre-norm decoders: blocks of grouped-query attention with rotary positions and a gated feed-forward network.
 * Names are transformers' state-dict keys.
 */
export function decoder(outline: DecoderOutline): Architecture {
  const { heads, kvHeads, headSize: D, layers, epsilon, task, prefix } = outline;
  const ownHeads = { heads, kvHeads, headSize: D, scale: 1 / Math.sqrt(D) };

  function block(runtime: ModelRuntime, layer: number, x: tf.Tensor, rotation: Rotation): tf.Tensor {
    const path = `${prefix}layers.${layer}`;
    /** RMSNorm of each head of t `(N, heads · D)`. */
    const headNorm = (module: string, t: tf.Tensor) => {
      const [rows, width] = t.shape as [number, number];
      const split = tf.reshape(t, [rows, width / D, D]);
      return tf.reshape(runtime.rmsNorm(`${path}.self_attn.${module}`, split, epsilon), [rows, width]);
    };

    const normed = (all: Projections): Projections => {
      if (!outline.headNorms) return all;
      const { q, k, v } = queriesKeysValues(all, ownHeads);
      return [headNorm('q_norm', q), headNorm('k_norm', k), v];
    };

    const h = runtime.rmsNorm(`${path}.input_layernorm`, x, epsilon); // (N, H)
    const attended = runtime.attend(
      { layer, window: outline.window(layer), dropout: outline.attentionDropout, ...ownHeads, rotation },
      normed(runtime.linears(projections(path), h)),
    ); // (N, heads · D)
    const attention = runtime.linear(`${path}.self_attn.o_proj`, runtime.rowsRead(layer, attended));
    const afterAttention = runtime.residualAdd(
      { layer, sublayer: 'attention', module: `${path}.attention_adapters` },
      attention,
      runtime.rowsRead(layer, x),
    );

    const m = runtime.rmsNorm(`${path}.post_attention_layernorm`, afterAttention, epsilon);
    const wide = gatedProduct('silu', runtime.linears([`${path}.mlp.gate_proj`, `${path}.mlp.up_proj`], m)); // (N, I)
    const down = runtime.linear(`${path}.mlp.down_proj`, wide);
    return runtime.residualAdd(
      { layer, sublayer: 'feed_forward', module: `${path}.output_adapters` },
      down,
      afterAttention,
    );
  }

  return {
    ...outline,
    attention: 'causal',
    drops: outline.attentionDropout > 0,
    body(runtime, ids, grid) {
      const angles = rotationOf(grid.positions, outline.inverseFrequencies);
      const rotation = { cosines: runtime.constant(angles.cosines), sines: runtime.constant(angles.sines) };
      let x = runtime.embedding(outline.tokenEmbedding, ids);
      for (let layer = 0; layer < layers; layer++) {
        x = runtime.block(`${prefix}layers.${layer}`, x, (x) => block(runtime, layer, x, rotation));
      }
      return x;
    },
    finalNorm: (runtime, hidden) => runtime.rmsNorm(`${prefix}norm`, hidden, epsilon),
    languageHead: task === 'CAUSAL_LM' ? 'lm_head' : null,
    ...(task === 'FEATURE_EXTRACTION'
      ? {}
      : {
          logits: (runtime: ModelRuntime, hidden: tf.Tensor) => {
            if (task === 'CAUSAL_LM') return runtime.linear('lm_head', hidden);
            const dropped =
              task === 'TOKEN_CLS' ? runtime.dropout(hidden, outline.classifierDropout) : hidden;
            return runtime.linear('score', dropped);
          },
        }),
  };
}

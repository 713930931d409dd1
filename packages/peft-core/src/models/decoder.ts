import { tf } from '@graft/tf-graph';
import { siluProduct } from '../nn/activations.ts';
import { type RotaryTable, rotaryTable, rotate } from '../nn/rotary.ts';
import type { DecoderOutline } from '../outlines/decoder.ts';
import type { Architecture, ModelRuntime, TokenGrid } from './architecture.ts';

interface Rotary {
  query: RotaryTable;
  key: RotaryTable;
}

/**
 * Pre-norm decoders: blocks of grouped-query attention with rotary positions and a gated feed-forward network.
 * Names are transformers' state-dict keys.
 */
export function decoder(outline: DecoderOutline): Architecture {
  const { heads, headSize: D, layers, epsilon, task, prefix } = outline;

  function block(
    runtime: ModelRuntime,
    layer: number,
    x: tf.Tensor,
    grid: TokenGrid,
    rotary: Rotary,
  ): tf.Tensor {
    const path = `${prefix}layers.${layer}`;
    const split = (t: tf.Tensor) => tf.reshape(t, [t.shape[0]!, t.shape[1]! / D, D]); // (N, width) → (N, heads, D)
    const byHead = (t: tf.Tensor) =>
      tf.transpose(tf.reshape(t, [grid.rows, grid.tokens, t.shape[1]!, D]), [0, 2, 1, 3]);
    const headNorm = (module: string, t: tf.Tensor) =>
      outline.headNorms ? runtime.rmsNorm(`${path}.self_attn.${module}`, t, epsilon) : t;

    const h = runtime.rmsNorm(`${path}.input_layernorm`, x, epsilon); // (N, H)
    const q = headNorm('q_norm', split(runtime.linear(`${path}.self_attn.q_proj`, h)));
    const k = headNorm('k_norm', split(runtime.linear(`${path}.self_attn.k_proj`, h)));
    const v = split(runtime.linear(`${path}.self_attn.v_proj`, h));
    const attended = runtime.attend(
      { layer, window: outline.window(layer), dropout: outline.attentionDropout },
      byHead(rotate(q, rotary.query)),
      byHead(rotate(k, rotary.key)),
      byHead(v),
    ); // (rows, heads, T, D)
    const merged = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [grid.rows * grid.tokens, heads * D]);
    const attention = runtime.linear(`${path}.self_attn.o_proj`, merged);
    const afterAttention = runtime.residualAdd(
      { layer, sublayer: 'attention', module: `${path}.attention_adapters` },
      attention,
      x,
    );

    const m = runtime.rmsNorm(`${path}.post_attention_layernorm`, afterAttention, epsilon);
    const gate = runtime.linear(`${path}.mlp.gate_proj`, m);
    const up = runtime.linear(`${path}.mlp.up_proj`, m); // (N, I)
    const down = runtime.linear(`${path}.mlp.down_proj`, siluProduct(gate, up));
    return runtime.residualAdd(
      { layer, sublayer: 'feed_forward', module: `${path}.output_adapters` },
      down,
      afterAttention,
    );
  }

  return {
    ...outline,
    attention: 'causal',
    body(runtime, ids, grid) {
      const table = (scale: number) => {
        const { cos, sin } = rotaryTable(grid.positions, outline.inverseFrequencies, scale);
        return { cos: runtime.constant(cos), sin: runtime.constant(sin) };
      };
      // The query's table carries the 1/√D of attention.
      const rotary = { query: table(1 / Math.sqrt(D)), key: table(1) };
      let x = runtime.embedding(outline.tokenEmbedding, ids);
      for (let layer = 0; layer < layers; layer++) {
        x = runtime.block(`${prefix}layers.${layer}`, x, (x) => block(runtime, layer, x, grid, rotary));
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

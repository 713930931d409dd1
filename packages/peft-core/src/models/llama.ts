import { tf } from '@graft/tf-graph';
import { type RotaryTable, rotaryTable, rotate } from '../nn/rotary.ts';
import { siluProduct } from '../nn/silu-product.ts';
import type { Architecture, ModelRuntime, ParameterSpec, TokenGrid } from './architecture.ts';
import { type LlamaConfig, parseLlamaConfig } from './llama-config.ts';
import { llamaModules } from './module-names.ts';

/**
 * The llama architecture: pre-norm blocks of grouped-query attention with rotary positions and a gated feed-forward network.
 * Source: transformers, models/llama/modeling_llama.py; names are its state-dict keys.
 */
export function llama(rawConfig: Record<string, unknown>): Architecture {
  const config = parseLlamaConfig(rawConfig);
  const { hiddenSize: H, heads, kvHeads, headSize: D, layers, epsilon } = config;

  function block(
    runtime: ModelRuntime,
    layer: number,
    x: tf.Tensor,
    grid: TokenGrid,
    rotary: Rotary,
  ): tf.Tensor {
    const path = `model.layers.${layer}`;
    const split = (t: tf.Tensor) => tf.reshape(t, [t.shape[0]!, t.shape[1]! / D, D]); // (N, width) → (N, heads, D)
    const byHead = (t: tf.Tensor) =>
      tf.transpose(tf.reshape(t, [grid.rows, grid.tokens, t.shape[1]!, D]), [0, 2, 1, 3]);

    const h = runtime.rmsNorm(`${path}.input_layernorm`, x, epsilon); // (N, H)
    const q = rotate(split(runtime.linear(`${path}.self_attn.q_proj`, h)), rotary.query);
    const k = rotate(split(runtime.linear(`${path}.self_attn.k_proj`, h)), rotary.key);
    const v = split(runtime.linear(`${path}.self_attn.v_proj`, h));
    const attended = runtime.attend(layer, byHead(q), byHead(k), byHead(v)); // (rows, heads, T, D)
    const joined = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [grid.rows * grid.tokens, heads * D]);
    const afterAttention = tf.add(x, runtime.linear(`${path}.self_attn.o_proj`, joined));

    const m = runtime.rmsNorm(`${path}.post_attention_layernorm`, afterAttention, epsilon);
    const gate = runtime.linear(`${path}.mlp.gate_proj`, m);
    const up = runtime.linear(`${path}.mlp.up_proj`, m); // (N, I)
    return tf.add(afterAttention, runtime.linear(`${path}.mlp.down_proj`, siluProduct(gate, up)));
  }

  return {
    modelType: 'llama',
    vocabularySize: config.vocabularySize,
    hiddenSize: H,
    layers,
    kvHeads,
    headSize: D,
    maxPositions: config.maxPositions,
    parameters: parameters(config),
    modules: llamaModules(rawConfig),
    aliases: config.tiedEmbeddings ? { 'lm_head.weight': 'model.embed_tokens.weight' } : {},
    body(runtime, ids, grid) {
      const table = (scale: number) => {
        const { cos, sin } = rotaryTable(grid.positions, config.inverseFrequencies, scale);
        return { cos: runtime.constant(cos), sin: runtime.constant(sin) };
      };
      // The query's table carries the 1/√D of attention.
      const rotary = { query: table(1 / Math.sqrt(D)), key: table(1) };
      let x = runtime.embedding('model.embed_tokens', ids);
      for (let layer = 0; layer < layers; layer++) {
        x = runtime.block(`model.layers.${layer}`, x, (x) => block(runtime, layer, x, grid, rotary));
      }
      return x;
    },
    finalNorm: (runtime, hidden) => runtime.rmsNorm('model.norm', hidden, epsilon),
  };
}

interface Rotary {
  query: RotaryTable;
  key: RotaryTable;
}

function parameters(c: LlamaConfig): ParameterSpec[] {
  const { hiddenSize: H, intermediateSize: I, heads, kvHeads, headSize: D } = c;
  const linear = (name: string, out: number, width: number, bias: boolean): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [out, width] },
    ...(bias ? [{ name: `${name}.bias`, shape: [out] }] : []),
  ];
  const blocks = Array.from({ length: c.layers }, (_, layer) => {
    const path = `model.layers.${layer}`;
    return [
      { name: `${path}.input_layernorm.weight`, shape: [H] },
      ...linear(`${path}.self_attn.q_proj`, heads * D, H, c.attentionBias),
      ...linear(`${path}.self_attn.k_proj`, kvHeads * D, H, c.attentionBias),
      ...linear(`${path}.self_attn.v_proj`, kvHeads * D, H, c.attentionBias),
      ...linear(`${path}.self_attn.o_proj`, H, heads * D, c.attentionBias),
      { name: `${path}.post_attention_layernorm.weight`, shape: [H] },
      ...linear(`${path}.mlp.gate_proj`, I, H, c.mlpBias),
      ...linear(`${path}.mlp.up_proj`, I, H, c.mlpBias),
      ...linear(`${path}.mlp.down_proj`, H, I, c.mlpBias),
    ];
  });
  return [
    { name: 'model.embed_tokens.weight', shape: [c.vocabularySize, H] },
    ...blocks.flat(),
    { name: 'model.norm.weight', shape: [H] },
    ...(c.tiedEmbeddings ? [] : [{ name: 'lm_head.weight', shape: [c.vocabularySize, H] }]),
  ];
}

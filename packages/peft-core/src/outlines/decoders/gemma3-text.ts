import type { ConfigFields } from '../config-fields.ts';
import type { DecoderRow, RawConfig } from '../decoder.ts';
import { decoderInterface } from '../decoder-files.ts';
import { allButEvery, ropesByType, slidingByType, windowsByType } from '../decoder-layers.ts';
import { matrixTargets } from '../default-targets.ts';
import { decoderGguf, f32, missingOf, missingWindows, windowMetadata } from '../gguf/decoder-gguf.ts';
import { roundedTo } from '../stored-type.ts';

const sliding = (config: RawConfig, fields: ConfigFields) =>
  slidingByType(config, fields, allButEvery(fields.size('sliding_window_pattern', 6)));

/**
 * The text models of Gemma 3: norms around each sublayer whose weights are differences from 1, norms of each head's queries and keys,
 * scaled embeddings, and a window in five layers of six. Source: transformers, models/gemma3/configuration_gemma3.py and
 * modeling_gemma3.py.
 */
export const gemma3Text: DecoderRow = {
  className: 'Gemma3',
  rateExponent: 0.781,
  classes: { SEQ_CLS: 'Gemma3TextForSequenceClassification', FEATURE_EXTRACTION: 'Gemma3TextModel' },
  tasks: ['CAUSAL_LM', 'SEQ_CLS', 'FEATURE_EXTRACTION'],
  defaultTargets: {
    ...matrixTargets(['q_proj', 'v_proj']),
    IA3: { target_modules: ['q_proj', 'v_proj', 'down_proj'], feedforward_modules: ['down_proj'] },
    LN_TUNING: {
      target_modules: [
        'input_layernorm',
        'post_attention_layernorm',
        'pre_feedforward_layernorm',
        'post_feedforward_layernorm',
        'norm',
      ],
    },
  },
  adaptersInterface: {
    ...decoderInterface,
    layer_ln_1: 'post_attention_layernorm',
    layer_ln_2: 'post_feedforward_layernorm',
    layer_pre_ffn: 'pre_feedforward_layernorm',
    base_model: 'model',
  },
  gguf: {
    ...decoderGguf,
    architecture: 'gemma3',
    shiftedNorms: true,
    blockParts: {
      ...decoderGguf.blockParts,
      attn_q_norm: 'self_attn.q_norm',
      attn_k_norm: 'self_attn.k_norm',
      post_attention_norm: 'post_attention_layernorm',
      ffn_norm: 'pre_feedforward_layernorm',
      post_ffw_norm: 'post_feedforward_layernorm',
    },
    config(header) {
      const { hidden_act: _, mlp_bias: __, ...config } = decoderGguf.config(header);
      const { hidden_size, head_dim, num_attention_heads, num_hidden_layers } = config;
      return {
        ...config,
        hidden_activation: 'gelu_pytorch_tanh',
        // Files do not have it. As llama.cpp, this recognises the 27B model, the only one where it is not `head_dim`, by its layers.
        query_pre_attn_scalar: num_hidden_layers === 62 ? hidden_size / num_attention_heads : head_dim,
        rope_local_base_freq: header.optionalDecimal('rope.freq_base_swa') ?? 10_000,
        sliding_window: header.size('attention.sliding_window'),
        sliding_window_pattern: header.count('attention.sliding_window_pattern') ?? 6,
      };
    },
    fields: (outline) => ({
      ...decoderGguf.fields(outline),
      ...windowMetadata(outline),
      'rope.freq_base_swa': f32(Number(outline.ropeFields[0]!.rope_theta)),
    }),
    missing(outline) {
      const { layers, hiddenSize, heads, headSize, factors } = outline;
      // See query_pre_attn_scalar above.
      const scores = (layers === 62 ? hiddenSize / heads : headSize) ** -0.5;
      if (Math.abs(factors.scores - scores) > 1e-6 * scores)
        return `query_pre_attn_scalar ${factors.scores ** -2} in a model of this size, but ${scores ** -2}`;
      return (
        missingWindows(outline) ?? missingOf(outline, { activation: 'gelu_pytorch_tanh', scores: 'any' })
      );
    },
    notes: () => [],
  },
  // Published configs of multimodal checkpoints omit the fields that have these values.
  defaults: {
    vocab_size: 262_208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    hidden_activation: 'gelu_pytorch_tanh',
    max_position_embeddings: 131_072,
    pad_token_id: 0,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    tie_word_embeddings: true,
  },
  check(config, fields) {
    for (const field of ['final_logit_softcapping', 'attn_logit_softcapping'])
      if (config[field] != null) fields.fault(`${field} must be null: Graft does not cap scores or logits`);
    if (config.use_bidirectional_attention)
      fields.fault('use_bidirectional_attention must be false: Graft computes causal attention');
  },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: false };
  },
  norms: 'around',
  shiftedNorms: true,
  queryKeyNorms: 'head',
  activationField: 'hidden_activation',
  windows: (config, fields) => windowsByType(config, fields, sliding(config, fields)),
  ropes(config, fields) {
    const thetas = {
      sliding: fields.number('rope_local_base_freq', 10_000),
      full: fields.number('rope_theta', 1_000_000),
    };
    return ropesByType(config, thetas, sliding(config, fields));
  },
  factors: (config, fields) => ({
    scores: 1 / Math.sqrt(fields.positive('query_pre_attn_scalar', 256)),
    // Checkpoints in bfloat16 were trained with the rounded factor.
    embedding: roundedTo(config.dtype ?? config.torch_dtype, Math.sqrt(fields.size('hidden_size'))),
  }),
};

import type { DecoderOutline } from '../decoder.ts';
import type { GgufFamily, GgufField } from './gguf-family.ts';
import { ropeMetadata, ropeTables, scalesAreStored } from './rope-gguf.ts';

export const u32 = (value: number): GgufField => ({ type: 'u32', value });
export const f32 = (value: number): GgufField => ({ type: 'f32', value });

/** The parts of attention in a block, and the norm before it. */
export const attentionParts = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
};

/** The common part of llama.cpp's files of decoders. */
export const decoderGguf = {
  blocks: 'model.layers',
  blockParts: {
    ...attentionParts,
    ffn_norm: 'post_attention_layernorm',
    ffn_gate: 'mlp.gate_proj',
    ffn_up: 'mlp.up_proj',
    ffn_down: 'mlp.down_proj',
  },
  otherParts: { token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head' },
  config(header) {
    const hiddenSize = header.size('embedding_length');
    const heads = header.size('attention.head_count');
    const headSize =
      header.count('attention.key_length') ??
      header.count('rope.dimension_count') ??
      Math.floor(hiddenSize / heads);
    return {
      attention_bias: header.hasTensor('blk.0.attn_q.bias'),
      attention_dropout: 0,
      head_dim: headSize,
      hidden_act: 'silu',
      hidden_size: hiddenSize,
      intermediate_size: header.size('feed_forward_length'),
      max_position_embeddings: header.size('context_length'),
      mlp_bias: header.hasTensor('blk.0.ffn_up.bias'),
      num_attention_heads: heads,
      num_hidden_layers: header.size('block_count'),
      num_key_value_heads: header.count('attention.head_count_kv') ?? heads,
      rms_norm_eps: header.decimal('attention.layer_norm_rms_epsilon'),
      ...header.rope(headSize),
    };
  },
  fields: decoderMetadata,
  tables: (outline) => ropeTables(lastRope(outline)),
  missing: (outline) => missingOf(outline, {}),
  notes: windowNotes,
} satisfies Omit<GgufFamily<DecoderOutline>, 'architecture'>;

/** The rotation of layers without a window, of which files have most fields. */
export const lastRope = ({ ropes, ropeFields }: DecoderOutline) => ({
  rope: ropes.at(-1)!,
  fields: ropeFields.at(-1)!,
});

function decoderMetadata(outline: DecoderOutline): Record<string, GgufField> {
  return {
    vocab_size: u32(outline.vocabularySize),
    context_length: u32(outline.maxPositions),
    embedding_length: u32(outline.hiddenSize),
    block_count: u32(outline.layers),
    feed_forward_length: u32(outline.inner),
    'attention.head_count': u32(outline.heads),
    'attention.head_count_kv': u32(outline.kvHeads),
    'attention.key_length': u32(outline.headSize),
    'attention.value_length': u32(outline.headSize),
    'attention.layer_norm_rms_epsilon': f32(outline.epsilon),
    ...ropeMetadata(lastRope(outline), outline.maxPositions),
  };
}

/** Parts that llama.cpp computes of a family of decoders beside those it computes of all. */
export interface Computed {
  /** Parts of a block that may have a bias; absent: q, k and v. */
  biases?: readonly string[];
  activation?: DecoderOutline['activation'];
  /** All heads together are as wide as the model. */
  heads?: 'fill the width';
  /** Any factor of the scores; absent: `headSize^(-1/2)`. */
  scores?: 'any';
  /** N, if every N-th layer has no rotation. Absent: all have one. */
  unrotatedEvery?: number;
  /** Rotations of layers with windows have their own θ. */
  ownTheta?: 'in windows';
  /**
   * Heads are rotated as a whole, because their rows are interleaved in files, or have the size that is rotated. Absent: the first values
   * of a head, any number.
   */
  rotation?: 'whole heads';
  /** YaRN with any `beta_fast` and `beta_slow`. */
  yarnBetas?: 'any';
  /** Set for models whose bounds of YaRN may be fractions, which llama.cpp rounds; `notes` of the family must report it. */
  yarnBounds?: 'rounded';
}

const queriesKeysValues = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'];

/** The end of "llama.cpp computes no …" for the first property of a model that it does not compute; null if there is none. */
export function missingOf(outline: DecoderOutline, computed: Computed): string | null {
  const { heads, headSize, hiddenSize, factors, layers } = outline;
  const { biases = queriesKeysValues, activation = 'silu' } = computed;
  const biased = outline.parameters.find(
    ({ name }) => name.endsWith('.bias') && !biases.some((part) => name.endsWith(`.${part}.bias`)),
  );
  if (biased) return `bias ${biased.name} in models of this kind`;
  if (outline.activation !== activation)
    return `activation ${outline.activation} in models of this kind, but ${activation}`;
  if (computed.heads && heads * headSize !== hiddenSize)
    return `heads of ${headSize} values in models of this kind whose width is not heads × head_dim`;
  const plain = headSize ** -0.5;
  if (computed.scores !== 'any' && Math.abs(factors.scores - plain) > 1e-6 * plain)
    return `factor ${factors.scores} of attention scores in models of this kind, but head_dim^(-1/2)`;
  const partial = outline.ropes.find((rope) => 2 * rope.inverseFrequencies.length !== headSize);
  if (computed.rotation && partial)
    return `rotation of ${2 * partial.inverseFrequencies.length} of a head's ${headSize} values in models of this kind`;
  const every = computed.unrotatedEvery;
  for (let layer = 0; layer < layers; layer++)
    if ((outline.rope(layer) === null) !== (every !== undefined && (layer + 1) % every === 0))
      return `rotation of other layers than ${every ? `all but every ${every}th` : 'all'}`;
  return scalesAreStored(lastRope(outline).fields, {
    betas: computed.yarnBetas === 'any',
    bounds: computed.yarnBounds === 'rounded',
  });
}

/** The period of windows in all layers but every n-th; null for another pattern, or without windows. */
export function windowPeriod({ window, layers }: DecoderOutline): number | null {
  const isFull = (layer: number) => window(layer) === null;
  if (Array.from({ length: layers }, (_, layer) => layer).every(isFull)) return null;
  for (let period = 1; period <= layers + 1; period++) {
    let fits = true;
    for (let layer = 0; layer < layers; layer++) fits &&= isFull(layer) === ((layer + 1) % period === 0);
    if (fits) return period;
  }
  return null;
}

/** The largest window of a model that is shorter than its longest text; null: there is none. */
function shortWindow({ window, layers, maxPositions }: DecoderOutline): number | null {
  const windows = Array.from({ length: layers }, (_, layer) => window(layer) ?? Number.POSITIVE_INFINITY);
  const least = Math.min(...windows);
  return least < maxPositions ? least : null;
}

/** For families whose windows files cannot express. */
function windowNotes(outline: DecoderOutline): string[] {
  const window = shortWindow(outline);
  if (window === null) return [];
  return [
    `llama.cpp computes this kind of model without its attention window: its answers differ for texts of more than ${window} tokens.`,
  ];
}

/** Metadata of windows in all layers but every n-th. */
export function windowMetadata(outline: DecoderOutline): Record<string, GgufField> {
  const period = windowPeriod(outline);
  if (period === null) return {};
  return {
    'attention.sliding_window': u32(outline.window(0) ?? 0),
    'attention.sliding_window_pattern': u32(period),
  };
}

/** For families with windows: other patterns than those of `windowMetadata`. */
export function missingWindows(outline: DecoderOutline): string | null {
  const { layers, window } = outline;
  const all = Array.from({ length: layers }, (_, layer) => window(layer));
  if (all.every((each) => each === null) || windowPeriod(outline) !== null) return null;
  return 'attention windows in other layers than all but every n-th';
}

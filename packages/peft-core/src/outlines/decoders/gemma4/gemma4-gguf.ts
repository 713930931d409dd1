import { GraftError } from '../../../errors.ts';
import type { DecoderOutline } from '../../decoder.ts';
import { layerNumbers } from '../../decoder-modules.ts';
import { decoderGguf, f32, missingOf, u32 } from '../../gguf/decoder-gguf.ts';
import type { GgufFamily, GgufField, GgufHeader } from '../../gguf/gguf-family.ts';
import { FREQUENCY_FACTORS } from '../../gguf/rope-gguf.ts';
import { PROPORTIONAL } from '../../rope.ts';
import { gemma3Text } from '../gemma3-text.ts';

/** The divisor of a frequency that is 0. */
const NEVER = 1e30;

const invalid = (what: string) =>
  new GraftError('unsupported_model', `GGUF file of the architecture gemma4: ${what}`, { param: 'model' });

/** How llama.cpp stores Gemma 4. Source: llama.cpp, conversion/gemma.py and src/models/gemma4.cpp. */
export const gemma4Gguf: GgufFamily<DecoderOutline> = {
  ...decoderGguf,
  architecture: 'gemma4',
  markedTokenizer: {
    model: 'gemma4',
    visible: [
      '<|channel>',
      '<channel|>',
      '<|tool_call>',
      '<tool_call|>',
      '<|tool_response>',
      '<tool_response|>',
      '<|"|>',
    ],
  },
  bareParts: ['layer_output_scale'],
  partsWithoutUpdates: ['per_layer_model_proj', 'per_layer_token_embd'],
  blockParts: {
    ...gemma3Text.gguf!.blockParts,
    layer_output_scale: 'layer_scalar',
    inp_gate: 'per_layer_input_gate',
    proj: 'per_layer_projection',
    post_norm: 'post_per_layer_input_norm',
  },
  otherParts: {
    ...decoderGguf.otherParts,
    per_layer_token_embd: 'model.embed_tokens_per_layer',
    per_layer_model_proj: 'model.per_layer_model_projection',
    per_layer_proj_norm: 'model.per_layer_projection_norm',
  },
  config: configOf,
  fields: metadataOf,
  tables({ layers, ropes, ropeFields, ...outline }) {
    const full = layerNumbers({ layers }).find((layer) => outline.window(layer) === null)!;
    const [rope, fields] = [ropes[outline.rope(full)!]!, ropeFields[outline.rope(full)!]!];
    const theta = Number(fields.rope_theta);
    const count = rope.inverseFrequencies.length;
    const divisors = rope.inverseFrequencies.map((own, i) =>
      own === 0 ? NEVER : theta ** (-i / count) / own,
    );
    return { [FREQUENCY_FACTORS]: Float32Array.from(divisors) };
  },
  missing: missingParts,
  notes: () => [],
};

function configOf(header: GgufHeader): Record<string, unknown> {
  const layers = header.size('block_count');
  const slides = header.flags('attention.sliding_window_pattern') ?? [];
  if (slides.length !== layers)
    throw invalid(`attention.sliding_window_pattern must have an entry for each of ${layers} layers`);
  const full = slides.indexOf(false);
  if (full < 0 || slides.at(-1)) throw invalid('attention.sliding_window_pattern must end with false');
  const heads = header.size('attention.head_count');
  const kvHeads = byLayer(
    header.counts('attention.head_count_kv') ?? [heads],
    layers,
    'attention.head_count_kv',
  );
  const widths = byLayer(header.counts('feed_forward_length') ?? [], layers, 'feed_forward_length');
  const headSize = header.size('attention.key_length');
  const factors = header.frequencyFactors;
  const turning = factors ? factors.filter((factor) => factor < NEVER / 2) : null;
  const factor = turning?.[0] ?? 1;
  if (factors && (2 * factors.length !== headSize || turning!.some((each) => each !== factor)))
    throw invalid('rope_freqs.weight holds another rotation than a proportional one');
  return {
    attention_bias: header.hasTensor('blk.0.attn_q.bias'),
    attention_dropout: 0,
    attention_k_eq_v: !header.hasTensor(`blk.${full}.attn_v.weight`),
    final_logit_softcapping: header.optionalDecimal('final_logit_softcapping') ?? null,
    global_head_dim: headSize,
    head_dim: header.size('attention.key_length_swa'),
    hidden_activation: 'gelu_pytorch_tanh',
    hidden_size: header.size('embedding_length'),
    hidden_size_per_layer_input: header.count('embedding_length_per_layer_input') ?? 0,
    intermediate_size: widths[0]!,
    layer_types: slides.map((each) => (each ? 'sliding_attention' : 'full_attention')),
    max_position_embeddings: header.size('context_length'),
    num_attention_heads: heads,
    num_global_key_value_heads: kvHeads[full]!,
    num_hidden_layers: layers,
    num_key_value_heads: kvHeads[Math.max(0, slides.indexOf(true))]!,
    num_kv_shared_layers: header.count('attention.shared_kv_layers') ?? 0,
    rms_norm_eps: header.decimal('attention.layer_norm_rms_epsilon'),
    rope_parameters: {
      sliding_attention: {
        rope_type: 'default',
        rope_theta: header.optionalDecimal('rope.freq_base_swa') ?? 10_000,
      },
      full_attention: {
        rope_type: PROPORTIONAL,
        rope_theta: header.optionalDecimal('rope.freq_base') ?? 1_000_000,
        partial_rotary_factor: factors ? turning!.length / factors.length : 1,
        ...(factor === 1 ? {} : { factor }),
      },
    },
    sliding_window: header.size('attention.sliding_window'),
    use_double_wide_mlp: widths.at(-1)! > widths[0]!,
    vocab_size_per_layer_input: header.rows('per_layer_token_embd.weight') ?? null,
  };
}

/** A value for each layer, of a list or of one number. */
function byLayer(values: readonly number[], layers: number, key: string): number[] {
  if (values.length === 1) return new Array<number>(layers).fill(values[0]!);
  if (values.length === layers) return [...values];
  throw invalid(`${key} must be a number or have an entry for each of ${layers} layers`);
}

/** A value of each layer: one number if they are equal. */
const perLayer = (values: number[]): GgufField =>
  values.every((each) => each === values[0]) ? u32(values[0]!) : { type: 'u32s', value: values };

/** The heads of layers with a window, and of those without. */
function headSizes(outline: DecoderOutline) {
  const of = (sliding: boolean) => {
    const layer = layerNumbers(outline).find((each) => (outline.window(each) !== null) === sliding);
    return outline.attentionOf(layer ?? 0).headSize;
  };
  return { sliding: of(true), full: of(false) };
}

function metadataOf(outline: DecoderOutline): Record<string, GgufField> {
  const all = layerNumbers(outline);
  const { sliding, full } = headSizes(outline);
  const theta = (layer: number | undefined, otherwise: number) =>
    f32(layer === undefined ? otherwise : Number(outline.ropeFields[outline.rope(layer)!]!.rope_theta));
  const slides = all.map((layer) => outline.window(layer) !== null);
  return {
    ...decoderGguf.fields(outline),
    feed_forward_length: perLayer(all.map(outline.innerOf)),
    'attention.head_count_kv': perLayer(all.map((layer) => outline.attentionOf(layer).kvHeads)),
    'attention.key_length': u32(full),
    'attention.value_length': u32(full),
    'attention.key_length_swa': u32(sliding),
    'attention.value_length_swa': u32(sliding),
    'attention.shared_kv_layers': u32(
      all.filter((layer) => outline.attentionOf(layer).keysFrom !== null).length,
    ),
    'attention.sliding_window': u32(
      all.map(outline.window).find((each) => each !== null) ?? outline.maxPositions,
    ),
    'attention.sliding_window_pattern': { type: 'bools', value: slides },
    embedding_length_per_layer_input: u32(outline.layerInputs?.width ?? 0),
    'rope.dimension_count': u32(full),
    'rope.dimension_count_swa': u32(sliding),
    'rope.freq_base': theta(
      all.find((layer) => !slides[layer]),
      1_000_000,
    ),
    'rope.freq_base_swa': theta(
      all.find((layer) => slides[layer]),
      10_000,
    ),
    ...(outline.logitCap === undefined ? {} : { final_logit_softcapping: f32(outline.logitCap) }),
  };
}

function missingParts(outline: DecoderOutline): string | null {
  const all = layerNumbers(outline);
  const sizes = headSizes(outline);
  const first = all.find((layer) => outline.attentionOf(layer).keysFrom !== null) ?? outline.layers;
  for (const layer of all) {
    const { headSize, keysFrom } = outline.attentionOf(layer);
    const slides = outline.window(layer) !== null;
    if (headSize !== (slides ? sizes.sliding : sizes.full))
      return 'heads of other sizes in layers of one type';
    if (keysFrom !== null && keysFrom !== first - (slides ? 2 : 1))
      return 'shared keys and values of other layers than the last two that have their own, of which the last has no window';
    if (slides && String(outline.ropeFields[outline.rope(layer)!]!.rope_type ?? 'default') !== 'default')
      return 'scaling of rotary positions in layers with a window';
  }
  if (outline.layerInputs && outline.layerInputs.vocabulary !== outline.vocabularySize)
    return 'table of per-layer inputs with more rows than the vocabulary';
  return missingOf(outline, { biases: [], activation: 'gelu_pytorch_tanh', scores: 'any' });
}

import { GraftError } from '../../../errors.ts';
import type { ConfigFields } from '../../config-fields.ts';
import type { DecoderRow, OwnLayers, RawConfig } from '../../decoder.ts';
import { allButEvery, slidingByType, windowsByType } from '../../decoder-layers.ts';
import type { LayerInputs } from '../../decoder-modules.ts';
import type { LayerAttention } from '../../outline.ts';
import { PROPORTIONAL, type RopeFields } from '../../rope.ts';
import { roundedTo } from '../../stored-type.ts';
import { gemma4Gguf } from './gemma4-gguf.ts';

/** Sizes of a layer that config.json may state for that layer alone. */
const LAYER_FIELDS = ['head_dim', 'num_key_value_heads'] as const;

/** Returns which layers have a window: five layers of six unless `layer_types` says otherwise, but never the last one. */
function slides(config: RawConfig, fields: ConfigFields): (layer: number) => boolean {
  const byType = slidingByType(config, fields, allButEvery(6));
  return (layer) => byType(layer) && layer !== Number(config.num_hidden_layers) - 1;
}

/** The first of the last `num_kv_shared_layers` layers, which have no keys and values. */
function firstSharing(fields: ConfigFields): number {
  const layers = fields.layers('num_hidden_layers');
  const sharing = fields.count('num_kv_shared_layers', 0);
  if (sharing < layers) return layers - sharing;
  fields.fault('num_kv_shared_layers must be less than num_hidden_layers');
  return layers;
}

/** `head_dim` and `num_key_value_heads` of each layer: of transformers 5.15 and later in `per_layer_config`, before in `global_…` fields. */
function sizesByLayer(
  config: RawConfig,
  fields: ConfigFields,
): (layer: number) => Omit<LayerAttention, 'keysFrom'> {
  const isSliding = slides(config, fields);
  const usual = {
    kvHeads: fields.size('num_key_value_heads'),
    headSize: fields.size('head_dim', 256, 16_384),
  };
  if (config.per_layer_config == null) {
    const kvHeads = config.attention_k_eq_v === true ? config.num_global_key_value_heads : null;
    const full = {
      kvHeads: kvHeads == null ? usual.kvHeads : fields.size('num_global_key_value_heads'),
      headSize: fields.size('global_head_dim', 512, 16_384),
    };
    return (layer) => (isSliding(layer) ? usual : full);
  }
  const own = new Map<number, RawConfig>();
  if (typeof config.per_layer_config !== 'object' || Array.isArray(config.per_layer_config))
    fields.fault('per_layer_config must be an object');
  else
    for (const [layer, sizes] of Object.entries(config.per_layer_config))
      if (readsLayer(layer, sizes, fields)) own.set(Number(layer), sizes);
  return (layer) => {
    const sizes = own.get(layer);
    return {
      kvHeads: Number(sizes?.num_key_value_heads ?? usual.kvHeads),
      headSize: Number(sizes?.head_dim ?? usual.headSize),
    };
  };
}

/** Returns true if an entry of `per_layer_config` is valid; reports a fault if not. */
function readsLayer(layer: string, sizes: unknown, fields: ConfigFields): sizes is RawConfig {
  const name = `per_layer_config[${JSON.stringify(layer)}]`;
  if (!/^\d{1,4}$/.test(layer) || typeof sizes !== 'object' || sizes === null) {
    fields.fault(`${name} must be an object under the number of a layer`);
    return false;
  }
  for (const [field, value] of Object.entries(sizes)) {
    if (!LAYER_FIELDS.some((each) => each === field))
      fields.fault(`${name}: ${field} of single layers is not supported; ${LAYER_FIELDS.join(' and ')} are`);
    else if (!Number.isInteger(value) || value < 1 || value > 16_384)
      fields.fault(`${name}: ${field} must be a positive integer up to 16384`);
  }
  return true;
}

/** Keys and values of each layer. Those that share them use those of the last earlier layer of their type that has its own. */
function attention(config: RawConfig, fields: ConfigFields): (layer: number) => LayerAttention {
  const isSliding = slides(config, fields);
  const sizes = sizesByLayer(config, fields);
  const first = firstSharing(fields);
  const heads = fields.size('num_attention_heads');
  const layers = fields.layers('num_hidden_layers');
  const lender = (sliding: boolean) => {
    for (let layer = first - 1; layer >= 0; layer--) if (isSliding(layer) === sliding) return layer;
    return null;
  };
  const lenders = { sliding: lender(true), full: lender(false) };
  const lenderOf = (layer: number) => (isSliding(layer) ? lenders.sliding : lenders.full);
  for (let layer = 0; layer < layers; layer++) {
    const { kvHeads, headSize } = sizes(layer);
    if (heads % kvHeads !== 0)
      fields.fault(`layer ${layer}: num_key_value_heads ${kvHeads} must divide num_attention_heads`);
    if (headSize % 2 !== 0) fields.fault(`layer ${layer}: head_dim ${headSize} must be even`);
    const same = lenderOf(layer) ?? layer;
    if (layer >= first && lenderOf(layer) === null)
      fields.fault('num_kv_shared_layers leaves no layer with keys and values of a type of layer_types');
    else if (layer >= first && (sizes(same).kvHeads !== kvHeads || sizes(same).headSize !== headSize))
      fields.fault(`layer ${layer} shares keys and values with layer ${same}, whose sizes differ`);
  }
  return (layer) => ({ ...sizes(layer), keysFrom: layer < first ? null : lenderOf(layer) });
}

export function layersWithoutInputs(config: RawConfig, fields: ConfigFields): OwnLayers {
  const isSliding = slides(config, fields);
  const width = fields.size('intermediate_size');
  const first = firstSharing(fields);
  const sharesValues = fields.flag('attention_k_eq_v');
  const widens = fields.flag('use_double_wide_mlp');
  return {
    attentionOf: attention(config, fields),
    valuesAreKeys: (layer) => sharesValues && !isSliding(layer),
    valueNorms: true,
    layerScalars: true,
    innerOf: (layer) => (widens && layer >= first ? 2 * width : width),
    ...(config.final_logit_softcapping == null
      ? {}
      : { logitCap: fields.positive('final_logit_softcapping', 30) }),
  };
}

function layerInputs(config: RawConfig, fields: ConfigFields): LayerInputs | null {
  const width = fields.count('hidden_size_per_layer_input', 256);
  if (width === 0) return null;
  const vocabulary = fields.size('vocab_size_per_layer_input');
  if (vocabulary < fields.size('vocab_size'))
    fields.fault('vocab_size_per_layer_input must be at least vocab_size');
  return { width, vocabulary, factor: roundedTo(config.dtype ?? config.torch_dtype, Math.sqrt(width)) };
}

/** `rope_parameters` of layers with a window and of the others. */
const ROTATIONS: { sliding: RopeFields; full: RopeFields } = {
  sliding: { rope_type: 'default', rope_theta: 10_000 },
  full: { rope_type: PROPORTIONAL, partial_rotary_factor: 0.25, rope_theta: 1_000_000 },
};

/**
 * The text models of Gemma 4, without those with experts: attention without a scale, norms of each head's queries, keys and values, own
 * sizes of heads in layers without a window, in which values may be the keys, last layers that attend to the keys and values of earlier
 * ones, an input of each layer by token, a factor of each layer's output, and capped logits. Source: transformers,
 * models/gemma4/configuration_gemma4.py and modeling_gemma4.py.
 */
export const gemma4Text: DecoderRow = {
  className: 'Gemma4',
  classes: { FEATURE_EXTRACTION: 'Gemma4TextModel' },
  tasks: ['CAUSAL_LM', 'FEATURE_EXTRACTION'],
  // HF PEFT has defaults only for the whole model.
  defaultTargets: {},
  adaptersInterface: null,
  defaults: {
    vocab_size: 262_144,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 30,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    hidden_activation: 'gelu_pytorch_tanh',
    max_position_embeddings: 131_072,
    pad_token_id: 0,
    sliding_window: 512,
    tie_word_embeddings: true,
    vocab_size_per_layer_input: 262_144,
    hidden_size_per_layer_input: 256,
  },
  check(config, fields) {
    if (fields.flag('enable_moe_block'))
      throw new GraftError(
        'unsupported_model',
        'enable_moe_block is true: Graft computes the Gemma 4 models without experts, such as E2B, E4B and 31B, not those with experts, such as 26B-A4B',
        { param: 'model' },
      );
    if (config.use_bidirectional_attention === 'all')
      fields.fault('use_bidirectional_attention must not be "all": Graft computes causal attention');
  },
  bias(config) {
    const attention = config.flag('attention_bias');
    return { qkv: attention, output: attention, mlp: false };
  },
  gguf: gemma4Gguf,
  norms: 'around',
  queryKeyNorms: 'head',
  activationField: 'hidden_activation',
  windows: (config, fields) => windowsByType(config, fields, slides(config, fields)),
  ropes(config, fields) {
    const given = config.rope_parameters as Record<string, RopeFields | null> | null | undefined;
    const each = [
      given ? { rope_theta: 10_000, ...given.sliding_attention } : ROTATIONS.sliding,
      given ? { rope_theta: 1_000_000, ...given.full_attention } : ROTATIONS.full,
    ];
    const isSliding = slides(config, fields);
    return { each, of: (layer) => (isSliding(layer) ? 0 : 1) };
  },
  layers: (config, fields) => ({
    ...layersWithoutInputs(config, fields),
    layerInputs: layerInputs(config, fields),
  }),
  factors: (config, fields) => ({
    scores: 1,
    // Checkpoints in bfloat16 were trained with the rounded factor.
    embedding: roundedTo(config.dtype ?? config.torch_dtype, Math.sqrt(fields.size('hidden_size'))),
  }),
};

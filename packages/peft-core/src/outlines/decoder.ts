import { ConfigFields, requireTask } from './config-fields.ts';
import { type Family, fromFamily } from './family.ts';
import { isClassifier, type ModelOutline, OutlineBuilder, type TaskType } from './outline.ts';
import { ropeFrequencies } from './rope-frequencies.ts';

/** A decoder with rotary positions, RMSNorm before each sublayer and a gated feed-forward network. */
export interface DecoderOutline extends ModelOutline {
  /** Prefix of the names in the body: `model.`, or empty for FEATURE_EXTRACTION. */
  prefix: string;
  epsilon: number;
  /** D/2 frequencies, with scaling applied. */
  inverseFrequencies: number[];
  /** RMSNorm over each head's queries and keys, before the rotation. */
  headNorms: boolean;
  /** Dropout probability of attention probabilities in training. */
  attentionDropout: number;
  /** Dropout probability of the input of a token classifier's head in training. */
  classifierDropout: number;
  /** Number of tokens that layer `layer` sees, the token itself included; null: unlimited. */
  window(layer: number): number | null;
}

/** The properties in which families of such decoders differ. */
export interface DecoderRow
  extends Pick<Family, 'className' | 'rateExponent' | 'defaultTargets' | 'adaptersInterface' | 'gguf'> {
  /** transformers' defaults for fields that config.json lacks, where the families differ. */
  defaults?: Record<string, unknown>;
  /** Which modules have biases: q, k and v; the output projection; the feed-forward network. */
  bias(config: ConfigFields): { qkv: boolean; output: boolean; mlp: boolean };
  headNorms?: boolean;
  /** The attention window of each layer, from config.json; null: unlimited. */
  windows?(config: Record<string, unknown>, fields: ConfigFields): (layer: number) => number | null;
}

type DecoderFamily = Family<DecoderOutline> & DecoderRow;

/** Creates the family `modelType` from its own properties. */
export function decoderFamily(modelType: string, row: DecoderRow): Family<DecoderOutline> {
  const family: DecoderFamily = {
    ...row,
    modelType,
    defaultTask: 'CAUSAL_LM',
    optionalPrefix: 'model.',
    pooling: 'last',
    outline: (config, task) => decoderOutline(family, config, task),
  };
  return family;
}

const TASKS: TaskType[] = ['CAUSAL_LM', 'SEQ_CLS', 'TOKEN_CLS', 'FEATURE_EXTRACTION'];

/**
 * Reads config.json (transformers 4 and 5). Names are those of transformers' …ForCausalLM, …ForSequenceClassification and
 * …ForTokenClassification; for FEATURE_EXTRACTION those of the bare model, without the prefix `model.`.
 * Throws `invalid_model_config`, which names every missing or invalid field, `unsupported_model`, `unsupported_task`.
 */
function decoderOutline(
  family: DecoderFamily,
  given: Record<string, unknown>,
  task: TaskType,
): DecoderOutline {
  requireTask(family.modelType, task, TASKS);
  const raw = { ...family.defaults, ...given };
  const fields = new ConfigFields(raw);
  const heads = fields.size('num_attention_heads');
  const H = fields.size('hidden_size');
  const I = fields.size('intermediate_size');
  const V = fields.size('vocab_size');
  const kvHeads = fields.size('num_key_value_heads', heads);
  const D = fields.size('head_dim', H / heads, 16_384);
  const layers = fields.layers('num_hidden_layers');
  const padding = fields.row('pad_token_id', V);
  const deviation = fields.number('initializer_range', 0.02);
  const bias = family.bias(fields);
  const tied = fields.flag('tie_word_embeddings');
  const labels = fields.labels();
  const headBias = fields.flag('token_classification_bias', true);
  fields.choice('hidden_act', ['silu'], 'silu');
  if (heads % kvHeads !== 0) fields.fault('num_key_value_heads must divide num_attention_heads');
  if (D % 2 !== 0) fields.fault('head_dim must be even');
  const common = {
    ...fromFamily(family),
    prefix: task === 'FEATURE_EXTRACTION' ? '' : family.optionalPrefix,
    task,
    vocabularySize: V,
    hiddenSize: H,
    layers,
    heads,
    kvHeads,
    headSize: D,
    maxPositions: fields.size('max_position_embeddings', 2048),
    epsilon: fields.number('rms_norm_eps', 1e-6),
    headNorms: family.headNorms ?? false,
    attentionDropout: fields.probability('attention_dropout', 0),
    classifierDropout: fields.probability('classifier_dropout', fields.probability('hidden_dropout', 0.1)),
    window: family.windows?.(raw, fields) ?? (() => null),
  };
  fields.check();

  const { prefix } = common;
  const all = new OutlineBuilder().embedding(`${prefix}embed_tokens`, V, H, padding);
  for (let layer = 0; layer < layers; layer++) {
    const path = `${prefix}layers.${layer}`;
    all
      .linear(`${path}.self_attn.q_proj`, heads * D, H, { bias: bias.qkv })
      .linear(`${path}.self_attn.k_proj`, kvHeads * D, H, { bias: bias.qkv })
      .linear(`${path}.self_attn.v_proj`, kvHeads * D, H, { bias: bias.qkv })
      .linear(`${path}.self_attn.o_proj`, H, heads * D, { bias: bias.output });
    all.stack(...['q_proj', 'k_proj', 'v_proj'].map((name) => `${path}.self_attn.${name}`));
    all.stack(`${path}.mlp.gate_proj`, `${path}.mlp.up_proj`);
    if (common.headNorms) all.norm(`${path}.self_attn.q_norm`, D).norm(`${path}.self_attn.k_norm`, D);
    all
      .linear(`${path}.mlp.gate_proj`, I, H, { bias: bias.mlp })
      .linear(`${path}.mlp.up_proj`, I, H, { bias: bias.mlp })
      .linear(`${path}.mlp.down_proj`, H, I, { bias: bias.mlp })
      .norm(`${path}.input_layernorm`, H)
      .norm(`${path}.post_attention_layernorm`, H)
      .residualAdd({ layer, sublayer: 'attention', module: `${path}.attention_adapters` })
      .residualAdd({ layer, sublayer: 'feed_forward', module: `${path}.output_adapters` });
  }
  all.norm(`${prefix}norm`, H);
  const aliases: Record<string, string> = {};
  if (task === 'CAUSAL_LM') {
    if (tied) {
      all.tiedLinear('lm_head', V, H);
      aliases['lm_head.weight'] = `${prefix}embed_tokens.weight`;
    } else all.linear('lm_head', V, H);
  }
  if (task === 'SEQ_CLS') all.linear('score', labels, H, { fresh: deviation });
  if (task === 'TOKEN_CLS') all.linear('score', labels, H, { bias: headBias, fresh: deviation });
  return {
    ...common,
    inverseFrequencies: ropeFrequencies(raw, D),
    parameters: all.parameters,
    modules: all.modules,
    stacks: all.stacks,
    residualSites: all.residualSites,
    aliases,
    tokenEmbedding: `${prefix}embed_tokens`,
    taskHead: isClassifier(task) ? ['score'] : [],
  };
}

/**
 * Optional sliding windows in config.json: none unless `use_sliding_window` is set; then in the layers with the `layer_types` entry
 * "sliding_attention", or, without that list, from layer `max_window_layers` on.
 */
export function optionalWindows(
  config: Record<string, unknown>,
  fields: ConfigFields,
): (layer: number) => number | null {
  if (!fields.flag('use_sliding_window') || config.sliding_window === null) return () => null;
  const window = fields.size('sliding_window', 4096);
  const types = config.layer_types;
  if (Array.isArray(types)) return (layer) => (types[layer] === 'sliding_attention' ? window : null);
  const first = fields.number('max_window_layers', 28);
  return (layer) => (layer >= first ? window : null);
}

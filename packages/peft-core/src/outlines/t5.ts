import { ConfigFields, requireTask } from './config-fields.ts';
import { matrixTargets } from './default-targets.ts';
import { type Family, fromFamily, UNTIED_WEIGHTS } from './family.ts';
import { type ModelOutline, OutlineBuilder, type TaskType } from './outline.ts';

const ACTIVATIONS = ['relu', 'gelu', 'gelu_new', 'silu'] as const;
/** The values of FLAN-T5's config: in `gated-gelu` the activation is the tanh approximation of GELU. */
const PROJECTIONS = ['relu', 'gated-gelu', 'gelu', 'gated-silu', 'silu', 'gated-relu'] as const;

/** Relative positions have no limit; this value limits the sizes that programs are built for. */
const MAX_POSITIONS = 8192;

/** T5 and FLAN-T5: an encoder and a decoder with relative positions and RMSNorm before each sublayer. */
export interface T5Outline extends ModelOutline {
  /** Number of blocks of the encoder; `layers` is the decoder's. */
  encoderLayers: number;
  epsilon: number;
  activation: (typeof ACTIVATIONS)[number];
  /** True if the feed-forward network multiplies the activation by a second projection. */
  gated: boolean;
  /** Buckets of relative positions, and the distance from which on all distances share the last bucket. */
  buckets: { count: number; maxDistance: number };
  /** Dropout probability in training; the same wherever T5 has dropout. */
  dropout: number;
  /** Factor of the decoder's states before the head. */
  headScale: number;
  decoderStart: number;
}

/** Source: transformers 5, modeling_t5.py, _tied_weights_keys, and modeling_utils.py, tie_weights. */
const TIED = ['encoder.embed_tokens', 'decoder.embed_tokens', 'lm_head'];

export const t5: Family<T5Outline> = {
  modelType: 't5',
  className: 'T5',
  classes: { FEATURE_EXTRACTION: 'T5EncoderModel' },
  defaultTask: 'SEQ_2_SEQ_LM',
  optionalPrefix: 'transformer.',
  pooling: 'mean',
  defaultTargets: {
    ...matrixTargets(['q', 'v']),
    IA3: { target_modules: ['k', 'v', 'wo'], feedforward_modules: ['wo'] },
    LN_TUNING: { target_modules: ['layer_norm', 'final_layer_norm'] },
  },
  tiedByClass: TIED,
  // Without the field, transformers would infer from "not tied" that the head's input is not scaled either.
  untiedFields: (config) => ({
    scale_decoder_outputs: config.scale_decoder_outputs ?? config.tie_word_embeddings !== false,
  }),
  outline,
};

/**
 * Reads config.json, including the list of weights that the checkpoint does not tie (UNTIED_WEIGHTS).
 * Names are those of transformers' T5ForConditionalGeneration.
 * Throws `invalid_model_config`, which names every invalid field, `unsupported_task`.
 * Source: transformers, models/t5/configuration_t5.py and modeling_t5.py.
 */
function outline(raw: Record<string, unknown>, task: TaskType): T5Outline {
  requireTask(t5.modelType, task, ['SEQ_2_SEQ_LM']);
  const fields = new ConfigFields(raw);
  const V = fields.size('vocab_size', 32_128);
  const H = fields.size('d_model', 512);
  const D = fields.size('d_kv', 64);
  const I = fields.size('d_ff', 2048);
  const heads = fields.size('num_heads', 8);
  const encoderLayers = fields.layers('num_layers', 6);
  const layers = fields.layers('num_decoder_layers', encoderLayers);
  const projection = fields.choice('feed_forward_proj', PROJECTIONS, 'relu');
  // T5 1.1 and FLAN-T5 set tie_word_embeddings to false, which also means no scaling; transformers 5 writes the scaling as its own field.
  const scaled = fields.flag('scale_decoder_outputs', fields.flag('tie_word_embeddings', true));
  const untied = Array.isArray(raw[UNTIED_WEIGHTS]) ? raw[UNTIED_WEIGHTS] : [];
  const common = {
    ...fromFamily(t5),
    task,
    vocabularySize: V,
    hiddenSize: H,
    layers,
    encoderLayers,
    heads,
    kvHeads: heads,
    headSize: D,
    maxPositions: MAX_POSITIONS,
    epsilon: fields.number('layer_norm_epsilon', 1e-6),
    gated: projection.startsWith('gated-'),
    activation: activationOf(projection),
    buckets: {
      count: fields.size('relative_attention_num_buckets', 32),
      maxDistance: fields.size('relative_attention_max_distance', 128, 65_536),
    },
    dropout: fields.probability('dropout_rate', 0.1),
    headScale: scaled ? 1 / Math.sqrt(H) : 1,
    decoderStart: fields.count('decoder_start_token_id', fields.count('pad_token_id', 0)),
  };
  if (common.buckets.count % 4 !== 0) fields.fault('relative_attention_num_buckets must be a multiple of 4');
  if (common.buckets.maxDistance <= common.buckets.count / 2)
    fields.fault('relative_attention_max_distance must be more than half of relative_attention_num_buckets');
  if (common.decoderStart >= V) fields.fault('decoder_start_token_id must be less than vocab_size');
  fields.check();

  const all = new OutlineBuilder().embedding('shared', V, H);
  const attention = (path: string, hasBias: boolean) => {
    for (const name of ['q', 'k', 'v']) all.linear(`${path}.${name}`, heads * D, H);
    all.linear(`${path}.o`, H, heads * D);
    // Only self-attention: queries of cross-attention read another input than its keys and values.
    if (path.endsWith('SelfAttention')) all.stack(...['q', 'k', 'v'].map((name) => `${path}.${name}`));
    if (hasBias) all.embedding(`${path}.relative_attention_bias`, common.buckets.count, heads);
  };
  const feedForward = (path: string) => {
    for (const name of common.gated ? ['wi_0', 'wi_1'] : ['wi']) all.linear(`${path}.${name}`, I, H);
    if (common.gated) all.stack(`${path}.wi_0`, `${path}.wi_1`);
    all.linear(`${path}.wo`, H, I);
  };
  const embedding = (name: string) =>
    untied.includes(`${name}.weight`) ? all.embedding(name, V, H) : all.tiedEmbedding(name, V, H);
  embedding('encoder.embed_tokens');
  for (let i = 0; i < encoderLayers; i++) {
    const path = `encoder.block.${i}.layer`;
    attention(`${path}.0.SelfAttention`, i === 0);
    all.norm(`${path}.0.layer_norm`, H);
    feedForward(`${path}.1.DenseReluDense`);
    all
      .norm(`${path}.1.layer_norm`, H)
      .residualAdd({ layer: i, sublayer: 'attention', module: `${path}.0` })
      .residualAdd({ layer: i, sublayer: 'feed_forward', module: `${path}.1` });
  }
  all.norm('encoder.final_layer_norm', H);
  embedding('decoder.embed_tokens');
  for (let i = 0; i < layers; i++) {
    const path = `decoder.block.${i}.layer`;
    const layer = encoderLayers + i;
    attention(`${path}.0.SelfAttention`, i === 0);
    all.norm(`${path}.0.layer_norm`, H);
    attention(`${path}.1.EncDecAttention`, false);
    all.norm(`${path}.1.layer_norm`, H);
    feedForward(`${path}.2.DenseReluDense`);
    all
      .norm(`${path}.2.layer_norm`, H)
      .residualAdd({ layer, sublayer: 'attention', module: `${path}.0` })
      .residualAdd({ layer, sublayer: 'cross_attention', module: `${path}.1` })
      .residualAdd({ layer, sublayer: 'feed_forward', module: `${path}.2` });
  }
  all.norm('decoder.final_layer_norm', H);
  if (untied.includes('lm_head.weight')) all.linear('lm_head', V, H);
  else all.tiedLinear('lm_head', V, H);
  const aliases = Object.fromEntries(
    TIED.map((name) => `${name}.weight`)
      .filter((name) => !untied.includes(name))
      .map((name) => [name, 'shared.weight']),
  );
  return {
    ...common,
    parameters: all.parameters,
    modules: all.modules,
    stacks: all.stacks,
    residualSites: all.residualSites,
    aliases,
    tokenEmbedding: 'encoder.embed_tokens',
    taskHead: [],
  };
}

function activationOf(projection: (typeof PROJECTIONS)[number]): T5Outline['activation'] {
  if (projection === 'gated-gelu') return 'gelu_new';
  return projection.replace('gated-', '') as T5Outline['activation'];
}

import { ConfigFields, requireTask } from './config-fields.ts';
import { matrixTargets } from './default-targets.ts';
import { type Family, fromFamily } from './family.ts';
import { type ModelOutline, OutlineBuilder, type TaskType } from './outline.ts';

const TASKS: TaskType[] = ['CAUSAL_LM', 'SEQ_CLS', 'TOKEN_CLS', 'FEATURE_EXTRACTION'];
const ACTIVATIONS = ['gelu_new', 'gelu', 'gelu_pytorch_tanh', 'relu', 'silu', 'tanh'] as const;

/** GPT-2: learned positions, LayerNorm before each sublayer, one product for queries, keys and values. */
export interface Gpt2Outline extends ModelOutline {
  /** Prefix of the names in the body: `transformer.`, or empty for FEATURE_EXTRACTION. */
  prefix: string;
  epsilon: number;
  activation: (typeof ACTIVATIONS)[number];
  /** Factor of a layer's queries: 1/√D, except in rare variants. */
  queryScale(layer: number): number;
  /** Dropout probabilities in training: of embeddings, attention probabilities, sublayers' outputs, a token classifier's input. */
  dropout: { embedding: number; attention: number; residual: number; classifier: number };
}

export const gpt2: Family<Gpt2Outline> = {
  modelType: 'gpt2',
  className: 'GPT2',
  classes: { CAUSAL_LM: 'GPT2LMHeadModel' },
  defaultTask: 'CAUSAL_LM',
  optionalPrefix: 'transformer.',
  pooling: 'last',
  defaultTargets: {
    ...matrixTargets(['c_attn']),
    IA3: { target_modules: ['c_attn', 'mlp.c_proj'], feedforward_modules: ['mlp.c_proj'] },
    LN_TUNING: { target_modules: ['ln_1', 'ln_2', 'ln_f'] },
  },
  gguf: {
    architecture: 'gpt2',
    blocks: 'transformer.h',
    blockParts: {
      attn_norm: 'ln_1',
      attn_qkv: 'attn.c_attn',
      attn_output: 'attn.c_proj',
      ffn_norm: 'ln_2',
      ffn_up: 'mlp.c_fc',
      ffn_down: 'mlp.c_proj',
    },
    otherParts: {
      token_embd: 'transformer.wte',
      position_embd: 'transformer.wpe',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
    },
    transposed: ['attn_qkv', 'attn_output', 'ffn_up', 'ffn_down'],
    preTokenizers: { 'gpt-2': {} },
    byteLevelTokenizer: 'gpt2',
    config: (header) => ({
      activation_function: 'gelu_new',
      layer_norm_epsilon: header.decimal('attention.layer_norm_epsilon'),
      n_embd: header.size('embedding_length'),
      n_head: header.size('attention.head_count'),
      n_inner: header.size('feed_forward_length'),
      n_layer: header.size('block_count'),
      n_positions: header.size('context_length'),
    }),
    fields: (model) => ({
      vocab_size: { type: 'u32', value: model.vocabularySize },
      context_length: { type: 'u32', value: model.maxPositions },
      embedding_length: { type: 'u32', value: model.hiddenSize },
      block_count: { type: 'u32', value: model.layers },
      feed_forward_length: {
        type: 'u32',
        value: model.modules.find(({ name }) => name.endsWith('.mlp.c_fc'))!.out!,
      },
      'attention.head_count': { type: 'u32', value: model.heads },
      'attention.layer_norm_epsilon': { type: 'f32', value: (model as Gpt2Outline).epsilon },
    }),
    missing(model) {
      const { activation, queryScale, headSize, layers } = model as Gpt2Outline;
      if (!['gelu_new', 'gelu_pytorch_tanh'].includes(activation))
        return `activation ${activation} in models of this kind, but gelu_new`;
      const plain = headSize ** -0.5;
      const other = Array.from({ length: layers }, (_, layer) => queryScale(layer)).find(
        (scale) => Math.abs(scale - plain) > 1e-6 * plain,
      );
      return other === undefined ? null : `factor ${other} of attention scores in models of this kind`;
    },
  },
  outline,
};

/**
 * Reads config.json. Names are those of transformers' GPT2LMHeadModel, …ForSequenceClassification (`score`, without bias) and
 * …ForTokenClassification (`classifier`); for FEATURE_EXTRACTION those of the bare model. Linear weights are Conv1D's, `(in, out)`.
 * Throws `invalid_model_config`, which names every invalid field, `unsupported_task`.
 * Source: transformers, models/gpt2/configuration_gpt2.py and modeling_gpt2.py.
 */
function outline(raw: Record<string, unknown>, task: TaskType): Gpt2Outline {
  requireTask(gpt2.modelType, task, TASKS);
  const fields = new ConfigFields(raw);
  const H = fields.size('n_embd', 768);
  const heads = fields.size('n_head', 12);
  const layers = fields.layers('n_layer', 12);
  const V = fields.size('vocab_size', 50_257);
  const positions = fields.size('n_positions', 1024);
  const I = fields.size('n_inner', 4 * H);
  const tied = fields.flag('tie_word_embeddings', true);
  const labels = fields.labels();
  const deviation = fields.number('initializer_range', 0.02);
  const scaled = fields.flag('scale_attn_weights', true);
  const byLayer = fields.flag('scale_attn_by_inverse_layer_idx');
  if (H % heads !== 0) fields.fault('n_head must divide n_embd');
  if (fields.flag('add_cross_attention')) fields.fault('add_cross_attention must be false');
  const D = H / heads;
  const common = {
    ...fromFamily(gpt2),
    prefix: task === 'FEATURE_EXTRACTION' ? '' : gpt2.optionalPrefix,
    task,
    vocabularySize: V,
    hiddenSize: H,
    layers,
    heads,
    kvHeads: heads,
    headSize: D,
    maxPositions: positions,
    epsilon: fields.number('layer_norm_epsilon', 1e-5),
    activation: fields.choice('activation_function', ACTIVATIONS, 'gelu_new'),
    queryScale: (layer: number) => (scaled ? 1 / Math.sqrt(D) : 1) / (byLayer ? layer + 1 : 1),
    dropout: {
      embedding: fields.probability('embd_pdrop', 0.1),
      attention: fields.probability('attn_pdrop', 0.1),
      residual: fields.probability('resid_pdrop', 0.1),
      classifier: fields.probability('classifier_dropout', fields.probability('hidden_dropout', 0.1)),
    },
  };
  fields.check();

  const { prefix } = common;
  const conv = { bias: true, transposed: true };
  const all = new OutlineBuilder().embedding(`${prefix}wte`, V, H).embedding(`${prefix}wpe`, positions, H);
  for (let layer = 0; layer < layers; layer++) {
    const path = `${prefix}h.${layer}`;
    all
      .norm(`${path}.ln_1`, H, { bias: true })
      .linear(`${path}.attn.c_attn`, 3 * H, H, conv)
      .linear(`${path}.attn.c_proj`, H, H, conv)
      .norm(`${path}.ln_2`, H, { bias: true })
      .linear(`${path}.mlp.c_fc`, I, H, conv)
      .linear(`${path}.mlp.c_proj`, H, I, conv)
      .residualAdd({ layer, sublayer: 'attention', module: `${path}.attention_adapters` })
      .residualAdd({ layer, sublayer: 'feed_forward', module: `${path}.output_adapters` });
  }
  all.norm(`${prefix}ln_f`, H, { bias: true });
  const aliases: Record<string, string> = {};
  if (task === 'CAUSAL_LM') {
    if (tied) {
      all.tiedLinear('lm_head', V, H);
      aliases['lm_head.weight'] = `${prefix}wte.weight`;
    } else all.linear('lm_head', V, H);
  }
  if (task === 'SEQ_CLS') all.linear('score', labels, H, { fresh: deviation });
  if (task === 'TOKEN_CLS') all.linear('classifier', labels, H, { bias: true, fresh: deviation });
  return {
    ...common,
    parameters: all.parameters,
    modules: all.modules,
    stacks: all.stacks,
    residualSites: all.residualSites,
    aliases,
    tokenEmbedding: `${prefix}wte`,
    taskHead: task === 'SEQ_CLS' ? ['score'] : task === 'TOKEN_CLS' ? ['classifier'] : [],
  };
}

import { ConfigFields, requireTask } from './config-fields.ts';
import { type Family, fromFamily } from './family.ts';
import { type ModelOutline, OutlineBuilder, type TaskType } from './outline.ts';

/** An encoder with learned positions and LayerNorm after each sublayer. */
export interface EncoderOutline extends ModelOutline {
  /** Prefix of the names in the body: the family's prefix, or empty for FEATURE_EXTRACTION. */
  prefix: string;
  epsilon: number;
  activation: (typeof ACTIVATIONS)[number];
  /** Dropout probabilities in training: of hidden states, of attention probabilities, of a head's input. */
  dropout: { hidden: number; attention: number; classifier: number };
  /** Row of a sequence's first token in the position table. */
  firstPosition: number;
}

/** A family of such encoders, and its differences from the others. */
export interface EncoderFamily<Outline extends EncoderOutline = EncoderOutline> extends Family<Outline> {
  /** The id of the padding token if config.json has none. */
  padding: number;
  /** Row of a sequence's first token in the position table. */
  firstPosition(config: ConfigFields): number;
  /** True if the position embedding comes after the embeddings' norm in the module order. */
  positionsLast: boolean;
  /** Adds the modules after the blocks: pooler and head. */
  head(all: OutlineBuilder, task: TaskType, sizes: HeadSizes): void;
}

export interface HeadSizes {
  prefix: string;
  hidden: number;
  labels: number;
  /** Standard deviation of the start values of new weights. */
  deviation: number;
}

const TASKS: TaskType[] = ['SEQ_CLS', 'TOKEN_CLS', 'FEATURE_EXTRACTION'];
const ACTIVATIONS = ['gelu', 'gelu_new', 'gelu_pytorch_tanh', 'relu', 'silu'] as const;

/**
 * Reads config.json (transformers 4 and 5). Names are those of transformers' …ForSequenceClassification and
 * …ForTokenClassification; for FEATURE_EXTRACTION those of the bare model. Throws `invalid_model_config`, which names every
 * missing or invalid field, `unsupported_task`.
 */
export function encoderOutline(
  family: EncoderFamily,
  raw: Record<string, unknown>,
  task: TaskType,
): EncoderOutline {
  requireTask(family.modelType, task, TASKS);
  const fields = new ConfigFields(raw);
  const V = fields.size('vocab_size');
  const H = fields.size('hidden_size');
  const I = fields.size('intermediate_size');
  const heads = fields.size('num_attention_heads');
  const layers = fields.layers('num_hidden_layers');
  const positions = fields.size('max_position_embeddings', 512);
  const types = fields.size('type_vocab_size', 2);
  const labels = fields.labels();
  const deviation = fields.number('initializer_range', 0.02);
  const firstPosition = family.firstPosition(fields);
  const padding = fields.row('pad_token_id', V, family.padding);
  const hiddenDropout = fields.probability('hidden_dropout_prob', 0.1);
  fields.choice('position_embedding_type', ['absolute'], 'absolute');
  if (H % heads !== 0) fields.fault('num_attention_heads must divide hidden_size');
  if (fields.flag('is_decoder')) fields.fault('is_decoder must be false');
  const common = {
    ...fromFamily(family),
    prefix: task === 'FEATURE_EXTRACTION' ? '' : family.optionalPrefix,
    task,
    vocabularySize: V,
    hiddenSize: H,
    layers,
    heads,
    kvHeads: heads,
    headSize: H / heads,
    maxPositions: positions - firstPosition,
    epsilon: fields.number('layer_norm_eps', 1e-12),
    activation: fields.choice('hidden_act', ACTIVATIONS, 'gelu'),
    dropout: {
      hidden: hiddenDropout,
      attention: fields.probability('attention_probs_dropout_prob', 0.1),
      classifier: fields.probability('classifier_dropout', hiddenDropout),
    },
    firstPosition,
  };
  fields.check();

  const { prefix } = common;
  const all = new OutlineBuilder().embedding(`${prefix}embeddings.word_embeddings`, V, H, padding);
  const addPositions = () => all.embedding(`${prefix}embeddings.position_embeddings`, positions, H);
  if (!family.positionsLast) addPositions();
  all.embedding(`${prefix}embeddings.token_type_embeddings`, types, H);
  all.norm(`${prefix}embeddings.LayerNorm`, H, { bias: true });
  if (family.positionsLast) addPositions();
  for (let layer = 0; layer < layers; layer++) {
    const path = `${prefix}encoder.layer.${layer}`;
    all
      .linear(`${path}.attention.self.query`, H, H, { bias: true })
      .linear(`${path}.attention.self.key`, H, H, { bias: true })
      .linear(`${path}.attention.self.value`, H, H, { bias: true })
      .stack(...['query', 'key', 'value'].map((name) => `${path}.attention.self.${name}`))
      .linear(`${path}.attention.output.dense`, H, H, { bias: true })
      .norm(`${path}.attention.output.LayerNorm`, H, { bias: true })
      .residualAdd({ layer, sublayer: 'attention', module: `${path}.attention.output`, postNorm: true })
      .linear(`${path}.intermediate.dense`, I, H, { bias: true })
      .linear(`${path}.output.dense`, H, I, { bias: true })
      .norm(`${path}.output.LayerNorm`, H, { bias: true })
      .residualAdd({ layer, sublayer: 'feed_forward', module: `${path}.output`, postNorm: true });
  }
  family.head(all, task, { prefix, hidden: H, labels, deviation });
  return {
    ...common,
    parameters: all.parameters,
    modules: all.modules,
    stacks: all.stacks,
    residualSites: all.residualSites,
    aliases: {},
    tokenEmbedding: `${prefix}embeddings.word_embeddings`,
    taskHead: task === 'FEATURE_EXTRACTION' ? [] : ['classifier'],
  };
}

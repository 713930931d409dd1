import { GraftError } from '../errors.ts';
import { ConfigFields, type RawConfig, requireTask } from './config-fields.ts';
import { addHead } from './decoder-layers.ts';
import {
  addBody,
  type BodyForm,
  type DenseNetwork,
  keptByNorms,
  LAYER_TABLE,
  layerNumbers,
} from './decoder-modules.ts';
import type { SparseNetwork } from './experts.ts';
import { type Family, fromFamily, UNTIED_WEIGHTS } from './family.ts';
import type { GgufFamily } from './gguf/gguf-family.ts';
import {
  type DefaultTargets,
  isClassifier,
  type ModelOutline,
  OutlineBuilder,
  type Recurrence,
  type TaskType,
} from './outline.ts';
import { type Rope, type RopeFields, ropeFields, ropeOf } from './rope.ts';

/** A decoder with rotary positions, RMSNorm around each sublayer and a gated feed-forward network. */
export interface DecoderOutline extends ModelOutline, BodyForm {
  /** Unlike other outlines, every decoder has it. */
  attentionOf: BodyForm['attentionOf'];
  epsilon: number;
  /** Added to the weight of every RMSNorm: 1 where the weights are stored as differences from 1. */
  normShift: 0 | 1;
  activation: GateActivation;
  /** Width of the feed-forward network in most layers. */
  inner: number;
  ropes: Rope[];
  ropeFields: RopeFields[];
  /** The index in `ropes` of layer `layer`; null: no rotation. */
  rope(layer: number): number | null;
  factors: Factors;
  /** Queries at position p are multiplied by `1 + weight · ln(1 + ⌊p / span⌋)`; null: they are not. */
  queryGrowth: { weight: number; span: number } | null;
  dropout: {
    /** Rate for attention probabilities. */
    attention: number;
    /** Rate for each sublayer's output. */
    residual: number;
    /** Rate for the input of a token classifier's head. */
    classifier: number;
  };
  /** Number of tokens that layer `layer` sees, the token itself included; null: unlimited. */
  window(layer: number): number | null;
}

const GATES = ['silu', 'gelu', 'gelu_pytorch_tanh'] as const;
type GateActivation = (typeof GATES)[number];

/** Constant factors of the forward pass. */
export interface Factors {
  /** Factor of the attention scores. */
  scores: number;
  /** Factor of the rows of the input embedding. It belongs to the module: virtual tokens do not have it. */
  embedding: number;
  /** Factor of the first hidden states, virtual tokens included. */
  stream: number;
  /** Factor of each sublayer's output. */
  sublayer: number;
  /** Factor of the logits of a language model. */
  logits: number;
}

/** Where a family's norms are: before each sublayer, before it and of its output, or only of its output. */
export type NormPlaces = 'before' | 'around' | 'after';

const normNames: Record<NormPlaces, DecoderOutline['norms']> = {
  before: { attention: { before: 'input_layernorm' }, feedForward: { before: 'post_attention_layernorm' } },
  around: {
    attention: { before: 'input_layernorm', after: 'post_attention_layernorm' },
    feedForward: { before: 'pre_feedforward_layernorm', after: 'post_feedforward_layernorm' },
  },
  after: {
    attention: { after: 'post_attention_layernorm' },
    feedForward: { after: 'post_feedforward_layernorm' },
  },
};

export type { RawConfig };

export interface DecoderRow
  extends Pick<
    Family,
    | 'className'
    | 'classes'
    | 'rateExponent'
    | 'defaultTargets'
    | 'adaptersInterface'
    | 'formerModules'
    | 'formerTensors'
    | 'expertTensors'
    | 'turnedExperts'
  > {
  gguf?: GgufFamily<DecoderOutline>;
  /** The tasks that transformers has classes for; absent: all of TASKS. */
  tasks?: readonly TaskType[];
  /** transformers' defaults for fields that config.json lacks, where the families differ. */
  defaults?: RawConfig;
  /** Throws or reports a fault for options that Graft does not compute. */
  check?(config: RawConfig, fields: ConfigFields): void;
  /** Which modules have biases: q, k and v; the output projection; the feed-forward network. */
  bias(config: ConfigFields): { qkv: boolean; output: boolean; mlp: boolean };
  /** Default: `before`. */
  norms?: NormPlaces;
  /** The weights of norms are stored as differences from 1. */
  shiftedNorms?: true;
  queryKeyNorms?: 'head' | 'projection';
  /** The layers with a state in the place of attention; null: there is none. */
  recurrence?(config: RawConfig, fields: ConfigFields): Recurrence | null;
  /** The field with the activation's name; absent: `hidden_act`. */
  activationField?: string;
  /** The attention window of each layer; absent: unlimited. */
  windows?(config: RawConfig, fields: ConfigFields): (layer: number) => number | null;
  /** The fields of the rotations and the index of each layer's rotation; absent: one for all layers. */
  ropes?(config: RawConfig, fields: ConfigFields): { each: RopeFields[]; of(layer: number): number | null };
  /** The factors that differ from 1, and from `headSize^(-1/2)` for scores. */
  factors?(config: RawConfig, fields: ConfigFields): Partial<Factors>;
  sparse?(config: RawConfig, fields: ConfigFields): SparseNetwork | null;
  /** Parts of the family's layers that the other members do not describe. */
  layers?(config: RawConfig, fields: ConfigFields): OwnLayers;
}

/**
 * Parts of layers that few families have; by default keys and values have `num_key_value_heads` heads, and the network `mlp` has three
 * modules of `intermediate_size`.
 */
export type OwnLayers = Partial<
  Omit<BodyForm, keyof Omit<ModelOutline, 'attentionOf'> | 'prefix' | 'norms' | 'queryKeyNorms' | 'sparse'> &
    Pick<DecoderOutline, 'queryGrowth' | 'logitCap'> & {
      /** Rate for each sublayer's output. */
      residualDropout: number;
    }
>;

/** `module`: path of the decoder in a model of several parts, such as `language_model`. */
type DecoderFamily = Family<DecoderOutline> & DecoderRow & { module?: string };

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

/** A multimodal model whose text part is a decoder: the module `language_model`, with its own config in `text_config`. */
export interface MultimodalRow extends Pick<Family, 'className' | 'classes' | 'expertTensors'> {
  tasks: readonly TaskType[];
  /** HF PEFT's default targets. Absent: it has none, because other parts have modules of the same names. */
  defaultTargets?: DefaultTargets;
  /** The decoders that it can have, by `model_type` of `text_config`; the first is the default. */
  texts: Readonly<Record<string, DecoderRow>>;
  /** False if the head is not tied where the model's config does not say. Default: it is tied. */
  tiesByDefault?: false;
}

/** Creates the family `modelType`, of which Graft reads and trains only the text part. */
export function multimodalFamily(modelType: string, row: MultimodalRow): Family<DecoderOutline> {
  const { className, classes, tasks, texts, expertTensors, defaultTargets = {}, tiesByDefault = true } = row;
  const own = {
    modelType,
    className,
    ...(classes && { classes }),
    ...(expertTensors && { expertTensors }),
    tasks,
    defaultTask: 'CAUSAL_LM',
    optionalPrefix: 'model.',
    module: TEXT_MODULE,
    pooling: 'last',
    defaultTargets,
    adaptersInterface: null,
  } satisfies Partial<DecoderFamily>;
  return {
    ...own,
    outline(config, task) {
      const { text, fields } = textOf(config, tiesByDefault);
      const type = String(text.model_type ?? Object.keys(texts)[0]);
      if (!Object.hasOwn(texts, type))
        throw new GraftError(
          'unsupported_model',
          `text_config.model_type "${type}" is not supported in ${modelType} models; supported: ${Object.keys(texts).join(', ')}`,
          { param: 'model' },
        );
      const family: DecoderFamily = { ...texts[type]!, ...own, outline: this.outline };
      return decoderOutline(family, { ...text, ...fields }, task);
    },
    tiedByClass: ['lm_head'],
    textGguf: (config) =>
      texts[String(textOf(config, tiesByDefault).text.model_type ?? Object.keys(texts)[0])]?.gguf,
  };
}

/** `text_config`, and the fields that transformers reads from the whole model's config. */
function textOf(config: RawConfig, tiesByDefault: boolean): { text: RawConfig; fields: RawConfig } {
  const text = config.text_config;
  if (typeof text !== 'object' || text === null || Array.isArray(text))
    throw new GraftError('invalid_model_config', 'config.json: text_config must be an object', {
      param: 'model',
    });
  const names = ['dtype', 'torch_dtype', 'id2label', 'label2id', 'num_labels'];
  const given = names.filter((name) => config[name] != null).map((name) => [name, config[name]]);
  // transformers ties the head by default, unless the checkpoint has separate weights for it, whatever the text's config says.
  const untied = Array.isArray(config[UNTIED_WEIGHTS]) ? config[UNTIED_WEIGHTS] : [];
  const tie_word_embeddings =
    (config.tie_word_embeddings ?? tiesByDefault) === true && !untied.includes('lm_head.weight');
  return { text: text as RawConfig, fields: { ...Object.fromEntries(given), tie_word_embeddings } };
}

const TEXT_MODULE = 'language_model';
const TASKS: TaskType[] = ['CAUSAL_LM', 'SEQ_CLS', 'TOKEN_CLS', 'FEATURE_EXTRACTION'];

const plainNetwork: DenseNetwork = { module: 'mlp', gateAndUp: ['gate_proj', 'up_proj'], down: 'down_proj' };

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
  requireTask(family.modelType, task, family.tasks ?? TASKS);
  const raw = { ...family.defaults, ...given };
  const fields = new ConfigFields(raw);
  family.check?.(raw, fields);
  const heads = fields.size('num_attention_heads');
  const H = fields.size('hidden_size');
  const V = fields.size('vocab_size');
  const kvHeads = fields.size('num_key_value_heads', heads);
  const D = fields.size('head_dim', H / heads, 16_384);
  const maxPositions = fields.size('max_position_embeddings', 2048);
  if (heads % kvHeads !== 0) fields.fault('num_key_value_heads must divide num_attention_heads');
  if (D % 2 !== 0) fields.fault('head_dim must be even');
  const everywhere = { kvHeads, headSize: D, keysFrom: null };
  const inner = fields.size('intermediate_size');
  const factors = family.factors?.(raw, fields);
  const ropes = family.ropes?.(raw, fields) ?? { each: [ropeFields(raw)], of: () => 0 };
  const recurrence = family.recurrence?.(raw, fields) ?? null;
  const { residualDropout = 0, ...ownLayers } = family.layers?.(raw, fields) ?? {};
  const common = {
    ...fromFamily(family),
    prefix:
      (task === 'FEATURE_EXTRACTION' ? '' : family.optionalPrefix) +
      (family.module ? `${family.module}.` : ''),
    ...(family.module ? { textModule: family.module } : {}),
    task,
    vocabularySize: V,
    hiddenSize: H,
    layers: fields.layers('num_hidden_layers'),
    heads,
    kvHeads,
    headSize: D,
    maxPositions,
    epsilon: fields.number('rms_norm_eps', 1e-6),
    normShift: family.shiftedNorms ? (1 as const) : (0 as const),
    norms: normNames[family.norms ?? 'before'],
    queryKeyNorms: family.queryKeyNorms ?? null,
    fused: false,
    outputGate: false,
    sinks: false,
    attentionOf: () => everywhere,
    valuesAreKeys: () => false,
    valueNorms: false,
    layerInputs: null,
    layerScalars: false,
    inner,
    innerOf: () => inner,
    dense: plainNetwork,
    attentionLast: false,
    queryGrowth: null,
    ...ownLayers,
    ...(recurrence && { recurrence }),
    activation: fields.choice(family.activationField ?? 'hidden_act', GATES, 'silu'),
    factors: {
      scores: factors?.scores ?? 1 / Math.sqrt(D),
      embedding: factors?.embedding ?? 1,
      stream: factors?.stream ?? 1,
      sublayer: factors?.sublayer ?? 1,
      logits: factors?.logits ?? 1,
    },
    embeddingFactor: factors?.embedding ?? 1,
    dropout: {
      attention: fields.probability('attention_dropout', 0),
      residual: residualDropout,
      classifier: fields.probability('classifier_dropout', fields.probability('hidden_dropout', 0.1)),
    },
    window: family.windows?.(raw, fields) ?? (() => null),
    rope: ropes.of,
    sparse: family.sparse?.(raw, fields) ?? null,
  };
  const parts = { padding: fields.row('pad_token_id', V), bias: family.bias(fields) };
  const head = {
    tied: fields.flag('tie_word_embeddings'),
    labels: fields.labels(),
    bias: fields.flag('token_classification_bias', true),
    deviation: fields.number('initializer_range', 0.02),
  };
  fields.check();
  const all = new OutlineBuilder();
  addBody(all, common, parts);
  const aliases = addHead(all, common, head);
  const rotations = ropes.each.map((each, index) => {
    const user = layerNumbers(common).find((layer) => ropes.of(layer) === index);
    const { headSize } = user === undefined ? everywhere : common.attentionOf(user);
    return ropeOf(each, { headSize, maxPositions });
  });
  const over = rotations.flatMap(({ long }) => (long && long.over < maxPositions ? [long.over] : []));
  return {
    ...common,
    ...(common.sparse ? { routing: common.sparse } : {}),
    ...(over.length > 0 ? { longOver: Math.min(...over) } : {}),
    ropes: rotations,
    ropeFields: ropes.each,
    keptByNorms: keptByNorms(common),
    gateTensors: common.activation === 'silu' ? 0 : 1,
    parameters: all.parameters,
    modules: all.modules,
    stacks: all.stacks,
    residualSites: all.residualSites,
    aliases,
    tokenEmbedding: `${common.prefix}embed_tokens`,
    ...(common.layerInputs
      ? { layerTable: `${common.prefix}${LAYER_TABLE}`, layerInputWidth: common.layerInputs.width }
      : {}),
    taskHead: isClassifier(task) ? ['score'] : [],
  };
}

import { addExperts, type SparseNetwork } from './experts.ts';
import type { LayerAttention, ModelOutline, OutlineBuilder, Recurrence } from './outline.ts';
import { addDeltaNet } from './recurrent-layers/delta-net.ts';
import { addStateSpace } from './recurrent-layers/state-space.ts';

interface AttentionForm
  extends Pick<BodyForm, 'hiddenSize' | 'heads' | 'queryKeyNorms' | 'fused' | 'outputGate' | 'sinks'> {
  kvHeads: number;
  headSize: number;
  /** The norms of queries and keys precede the modules of keys and values in PyTorch's order. */
  normsFirst: boolean;
  /** `none`: those of another layer; `lent`: other layers attend to them, too, so that they are computed apart from the queries. */
  keys: 'own' | 'lent' | 'none';
  /** True if values have a module besides that of the keys. */
  hasValues: boolean;
}

function addAttention(
  all: OutlineBuilder,
  path: string,
  model: AttentionForm,
  bias: { qkv: boolean; output: boolean },
): void {
  const { hiddenSize: H, heads, kvHeads, headSize: D, queryKeyNorms } = model;
  if (model.sinks) all.parameter(`${path}.sinks`, [heads]);
  if (model.fused) {
    const widths = [heads * D, kvHeads * D, kvHeads * D];
    all
      .linear(`${path}.o_proj`, H, heads * D, { bias: bias.output })
      .fusedLinear(`${path}.qkv_proj`, widths, H, { bias: bias.qkv });
    return;
  }
  const queries = `${path}.q_proj`;
  const keysAndValues =
    model.keys === 'none' ? [] : model.hasValues ? [`${path}.k_proj`, `${path}.v_proj`] : [`${path}.k_proj`];
  const addNorms = () => {
    if (!queryKeyNorms) return;
    const perHead = queryKeyNorms === 'head';
    all.norm(`${path}.q_norm`, perHead ? D : heads * D);
    if (model.keys !== 'none') all.norm(`${path}.k_norm`, perHead ? D : kvHeads * D);
  };
  all.linear(queries, heads * D * (model.outputGate ? 2 : 1), H, { bias: bias.qkv });
  if (model.normsFirst) addNorms();
  for (const name of keysAndValues) all.linear(name, kvHeads * D, H, { bias: bias.qkv });
  const together = model.keys === 'own' ? [queries, ...keysAndValues] : keysAndValues;
  if (together.length > 1) all.stack(...together);
  all.linear(`${path}.o_proj`, H, heads * D, { bias: bias.output });
  if (!model.normsFirst) addNorms();
}

/**
 * Per-layer inputs: for each token and layer P numbers, the sum of a row of `embed_tokens_per_layer` and a projection of the token's
 * embedding, which pass through a gate of the layer's output.
 */
export interface LayerInputs {
  /** P. */
  width: number;
  vocabulary: number;
  /** Factor of the table's rows, which the module itself applies. */
  factor: number;
}

/** A layer's feed-forward network of one gate: the names of its modules. */
export interface DenseNetwork {
  module: string;
  /** Names of gate and up, or of the module that computes both. */
  gateAndUp: readonly [string, string] | readonly [string];
  down: string;
}

export interface SublayerNorms {
  before?: string;
  after?: string;
}

export interface BodyForm
  extends Pick<ModelOutline, 'task' | 'vocabularySize' | 'hiddenSize' | 'layers' | 'heads' | 'recurrence'> {
  /** Prefix of the names in the body: `model.`, or empty for FEATURE_EXTRACTION. */
  prefix: string;
  norms: { attention: SublayerNorms; feedForward: SublayerNorms };
  /** RMSNorm over queries and keys before the rotation: of each head, of all heads together, or none. */
  queryKeyNorms: 'head' | 'projection' | null;
  /** Queries, keys and values come from one module `qkv_proj`. */
  fused: boolean;
  /** `q_proj` also computes a gate of attention's output: each head's D queries, then D values before the sigmoid. */
  outputGate: boolean;
  /** Each head has a learned score, `self_attn.sinks`, that its softmax counts beside those of the keys. */
  sinks: boolean;
  attentionOf(layer: number): LayerAttention;
  /** Returns true if the values of layer `layer` are its keys before norm and rotation, so that it has no `v_proj`. */
  valuesAreKeys(layer: number): boolean;
  /** RMSNorm without a weight over the values of each head. */
  valueNorms: boolean;
  /** An input of each layer beside the hidden states; null: there is none. */
  layerInputs: LayerInputs | null;
  /** A layer's output is multiplied by its parameter `layer_scalar`. */
  layerScalars: boolean;
  /** Width of the feed-forward network of layer `layer`. */
  innerOf(layer: number): number;
  /** The network of a layer without experts, or beside them. */
  dense: DenseNetwork;
  /** The networks of several experts; null: every layer has one network. */
  sparse: SparseNetwork | null;
  /** PyTorch's order of a layer's modules: attention, networks, norms; or norms, networks, attention. */
  attentionLast: boolean;
}

interface BodyParts {
  padding: number | null;
  bias: { qkv: boolean; output: boolean; mlp: boolean };
}

export function addBody(all: OutlineBuilder, model: BodyForm, { padding, bias }: BodyParts): void {
  const { prefix, hiddenSize: H, norms, recurrence, layerInputs } = model;
  all.embedding(`${prefix}embed_tokens`, model.vocabularySize, H, padding);
  for (let layer = 0; layer < model.layers; layer++) {
    const path = `${prefix}layers.${layer}`;
    if (model.layerScalars) all.parameter(`${path}.layer_scalar`, [1]);
    const addMixer = () => {
      if (recurrence?.has(layer)) addRecurrence(all, `${path}.${recurrence.module}`, recurrence, H);
      else addAttention(all, `${path}.self_attn`, attentionForm(model, layer), bias);
    };
    const addNorms = () => {
      for (const { before, after } of [norms.attention, norms.feedForward]) {
        if (before) all.norm(`${path}.${before}`, H);
        if (after) all.norm(`${path}.${after}`, H);
      }
    };
    if (model.attentionLast) addNorms();
    else addMixer();
    addNetworks(all, path, model, layer, bias.mlp);
    if (model.attentionLast) addMixer();
    else addNorms();
    if (layerInputs)
      all
        .linear(`${path}.per_layer_input_gate`, layerInputs.width, H)
        .linear(`${path}.per_layer_projection`, H, layerInputs.width)
        .norm(`${path}.post_per_layer_input_norm`, H);
    all
      .residualAdd({ layer, sublayer: 'attention', module: `${path}.attention_adapters` })
      .residualAdd({ layer, sublayer: 'feed_forward', module: `${path}.output_adapters` });
  }
  all.norm(`${prefix}norm`, H);
  if (!layerInputs) return;
  const width = model.layers * layerInputs.width;
  all
    .embedding(`${prefix}${LAYER_TABLE}`, layerInputs.vocabulary, width, padding)
    .linear(`${prefix}per_layer_model_projection`, width, H)
    .norm(`${prefix}per_layer_projection_norm`, layerInputs.width);
}

const addRecurrence = (all: OutlineBuilder, path: string, recurrence: Recurrence, width: number) =>
  (recurrence.rule === 'delta' ? addDeltaNet : addStateSpace)(all, path, recurrence, width);

function addNetworks(
  all: OutlineBuilder,
  path: string,
  { dense, sparse, hiddenSize: H, innerOf }: BodyForm,
  layer: number,
  bias: boolean,
): void {
  if (sparse?.isSparse(layer)) {
    addExperts(all, `${path}.${sparse.module}`, sparse, H);
    if (!sparse.addsDense) return;
  }
  const inner = innerOf(layer);
  const network = `${path}.${dense.module}`;
  const gateAndUp = dense.gateAndUp.map((name) => `${network}.${name}`);
  if (gateAndUp.length === 1) all.fusedLinear(gateAndUp[0]!, [inner, inner], H, { bias });
  else {
    for (const name of gateAndUp) all.linear(name, inner, H, { bias });
    all.stack(...gateAndUp);
  }
  all.linear(`${network}.${dense.down}`, H, inner, { bias });
}

export const LAYER_TABLE = 'embed_tokens_per_layer';

function attentionForm(model: BodyForm, layer: number): AttentionForm {
  const { kvHeads, headSize, keysFrom } = model.attentionOf(layer);
  return {
    hiddenSize: model.hiddenSize,
    heads: model.heads,
    kvHeads,
    headSize,
    queryKeyNorms: model.queryKeyNorms,
    fused: model.fused,
    outputGate: model.outputGate,
    sinks: model.sinks,
    normsFirst: model.valueNorms,
    keys: keysFrom !== null ? 'none' : lendsKeys(model, layer) ? 'lent' : 'own',
    hasValues: !model.valuesAreKeys(layer),
  };
}

/** Returns true if a later layer attends to the keys and values of layer `layer`. */
export function lendsKeys(model: Pick<BodyForm, 'layers' | 'attentionOf'>, layer: number): boolean {
  for (let later = layer + 1; later < model.layers; later++)
    if (model.attentionOf(later).keysFrom === layer) return true;
  return false;
}

export const layerNumbers = ({ layers }: Pick<BodyForm, 'layers'>) =>
  Array.from({ length: layers }, (_, i) => i);

/** `ModelOutline.keptByNorms`: on average of all layers. */
export function keptByNorms(model: BodyForm): number {
  const { attention, feedForward } = model.norms;
  const outputNorms = [attention, feedForward].filter(({ after }) => after !== undefined).length;
  const counts = layerNumbers(model).map((layer) => {
    const { kvHeads, headSize, keysFrom } = model.attentionOf(layer);
    const keys = keysFrom === null ? kvHeads * (model.valueNorms ? 2 : 1) : 0;
    return model.queryKeyNorms ? (model.heads + keys) * headSize : 0;
  });
  const inputs = model.layerInputs ? model.hiddenSize + 3 * model.layerInputs.width : 0;
  return Math.round(
    outputNorms * model.hiddenSize + inputs + counts.reduce((a, b) => a + b, 0) / model.layers,
  );
}

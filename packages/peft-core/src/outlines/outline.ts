/** Uses of a model, with HF PEFT's names. The task determines the head and the loss. */
export const TASK_TYPES = [
  'CAUSAL_LM',
  'SEQ_CLS',
  'TOKEN_CLS',
  'SEQ_2_SEQ_LM',
  'FEATURE_EXTRACTION',
] as const;
export type TaskType = (typeof TASK_TYPES)[number];

/** Returns true if a task assigns classes to a text or to each of its tokens. */
export function isClassifier(task: TaskType): task is 'SEQ_CLS' | 'TOKEN_CLS' {
  return task === 'SEQ_CLS' || task === 'TOKEN_CLS';
}

/** Returns true if a task generates text. */
export function writesText(task: string): task is 'CAUSAL_LM' | 'SEQ_2_SEQ_LM' {
  return task === 'CAUSAL_LM' || task === 'SEQ_2_SEQ_LM';
}

export interface ParameterSpec {
  name: string;
  shape: number[];
  /** Set for a task's head, which base checkpoints lack: standard deviation of its normal start values (0: zeros). It is then trained. */
  fresh?: number;
  /** Set beside `fresh` if the task's forward pass does not use the weight: the pooler of FEATURE_EXTRACTION. */
  unread?: true;
  /** Set for the matrices of several experts, `(E, out, in)`. */
  experts?: true;
  /** Set beside `experts` if transformers' parameter is `(E, in, out)`; sources of weights present it as `(E, out, in)`. */
  turned?: true;
}

/**
 * A module that a PEFT method can target, with its Hugging Face path. Linear weights are `(out, in)`, or `(in, out)` if
 * `transposed` (transformers' Conv1D); embeddings `(out = vocabulary, in = width)`; norms `(in)`.
 */
export interface ModuleDescription {
  name: string;
  kind: 'linear' | 'embedding' | 'norm' | 'convolution' | 'other';
  in?: number;
  out?: number;
  transposed?: true;
  /** The padding row of an embedding: PyTorch's padding_idx, which gets no gradient. */
  padding?: number;
  /** Set for a fused linear module: the widths of its outputs, side by side. */
  columns?: number[];
}

/** A place where a sublayer's output is added to the residual. An adapter can be inserted there. */
export interface ResidualSite {
  /** Number of the block in the whole model; a decoder's blocks follow its encoder's. */
  layer: number;
  sublayer: 'attention' | 'cross_attention' | 'feed_forward';
  /** Path of the module that holds adapters in the `adapters` library: `model.layers.0.output_adapters`. */
  module: string;
  /** The sum of output and residual is normalised, in post-norm models. */
  postNorm?: true;
}

/**
 * By `peft_type`: HF PEFT's defaults for the options that name modules, if a config has null.
 * Source: peft 0.21.2, utils/constants.py.
 */
export type DefaultTargets = Readonly<
  Record<string, { target_modules: string[]; feedforward_modules?: string[] }>
>;

export interface ExpertRouting {
  /** E. */
  experts: number;
  /** Number of experts of each token. */
  chosen: number;
  /** The weights of a token's experts sum up to 1. */
  normalised: boolean;
  /** Coefficient of the loss that balances the use of experts in training; 0: none. */
  balance: number;
}

/**
 * Layers that carry a state of a fixed size from position to position instead of attending to keys and values of earlier ones, after a
 * causal convolution of their inputs.
 */
export interface Recurrence {
  /** `delta`: the gated delta rule. `state_space`: that of Mamba-2, whose B are the keys, C the queries and x the values. */
  rule: RecurrentRule;
  module: string;
  /** Returns true if layer `layer` is one; others have attention. */
  has(layer: number): boolean;
  /** Each key head serves `valueHeads / keyHeads` consecutive value heads. */
  keyHeads: number;
  valueHeads: number;
  keySize: number;
  valueSize: number;
  /** Number of positions that the convolution reads, its own included. */
  reach: number;
  /**
   * Which modules compute its inputs. `separate`: one each for queries, keys and values, for the gate, the rate and the time step.
   * `fused`: `in_proj_qkvz` and `in_proj_ba`, with the numbers of each key head and its value heads side by side. `one`: `in_proj`, with
   * the gate, values, keys, queries and time steps in turn.
   */
  projections: 'separate' | 'fused' | 'one';
  bias: { convolution: boolean; projections: boolean };
}

export type RecurrentRule = 'delta' | 'state_space';

/** Width of what the convolution reads: queries, keys and values. */
export const mixedWidth = ({ keyHeads, valueHeads, keySize, valueSize }: Recurrence): number =>
  2 * keyHeads * keySize + valueHeads * valueSize;

export interface LayerAttention {
  kvHeads: number;
  headSize: number;
  /** The earlier layer whose keys and values this one attends to, in the place of own ones; null: it has its own. */
  keysFrom: number | null;
}

/** Fields that determine the sizes of a cache. */
export type Layers = Pick<ModelOutline, 'layers' | 'recurrence' | 'kvHeads' | 'headSize' | 'attentionOf'>;

export const attentionOf = (
  { attentionOf, kvHeads, headSize }: Pick<Layers, 'attentionOf' | 'kvHeads' | 'headSize'>,
  layer: number,
): LayerAttention => attentionOf?.(layer) ?? { kvHeads, headSize, keysFrom: null };

/** The layers of a model with own keys and values, and those with a state. */
export function layersOf(model: Layers) {
  const all = Array.from({ length: model.layers }, (_, layer) => layer);
  const isRecurrent = (layer: number) => model.recurrence?.has(layer) ?? false;
  return {
    attending: all.filter((layer) => !isRecurrent(layer) && attentionOf(model, layer).keysFrom === null),
    recurrent: all.filter(isRecurrent),
  };
}

/** Number of elements of one position's keys and values, of all layers. */
export const keysAndValuesWidth = (model: Layers): number =>
  layersOf(model).attending.reduce((sum, layer) => {
    const { kvHeads, headSize } = attentionOf(model, layer);
    return sum + 2 * kvHeads * headSize;
  }, 0);

/** Returns true if keys and values of all layers have the same sizes, and no layer uses those of another. */
export function hasEvenKeys(model: Layers): boolean {
  const each = Array.from({ length: model.layers }, (_, layer) => attentionOf(model, layer));
  return each.every(
    ({ kvHeads, headSize, keysFrom }) =>
      kvHeads === model.kvHeads && headSize === model.headSize && keysFrom === null,
  );
}

/** A model as config.json describes it: sizes, weights and modules. */
export interface ModelOutline {
  // From the model's family; see family.ts.
  modelType: string;
  optionalPrefix: string;
  pooling: 'first' | 'last' | 'mean';
  defaultTargets: DefaultTargets;
  rateExponent?: number;
  tiedByClass?: string[];
  adaptersInterface?: Record<string, unknown> | null;

  task: TaskType;
  vocabularySize: number;
  hiddenSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headSize: number;
  /** Keys and values of layer `layer`; absent: `kvHeads` heads of `headSize` in every layer. */
  attentionOf?(layer: number): LayerAttention;
  maxPositions: number;
  parameters: ParameterSpec[];
  /** In the order of PyTorch's named_modules. */
  modules: ModuleDescription[];
  /** Groups of linear modules that read the same input: each group's matrices can be stored as one, in this order. */
  stacks: string[][];
  /** In the order of the forward pass. */
  residualSites: ResidualSite[];
  /** Tied parameters, such as `lm_head.weight`, and the names of the parameters that they are tied to. */
  aliases: Record<string, string>;
  /**
   * Set if the keys of a sequence of more positions differ from those of its beginning alone, because it is rotated by other
   * frequencies. Nothing computed for a shorter sequence may then be used for it.
   */
  longOver?: number;
  /** Set if the model is a module of a larger one that has modules of the same names outside of it: that module's name. */
  textModule?: string;
  /** Undefined if no layer has experts. */
  routing?: ExpertRouting;
  /** Numbers for each position that the norms of one block keep for the backward pass besides the residual stream; absent: 0. */
  keptByNorms?: number;
  /**
   * Float32 tensors of the feed-forward network's width that the gradient of its gate needs beside those of silu, if activations are
   * narrow; absent: 0.
   */
  gateTensors?: number;
  /** Path of the input embedding of tokens. */
  tokenEmbedding: string;
  /** Factor of the rows of the input embedding, which the module itself applies; absent: 1. */
  embeddingFactor?: number;
  /** Set if the logits z of a language model become `cap · tanh(z / cap)`. */
  logitCap?: number;
  /**
   * Set if a layer reads numbers of each token's id besides hidden states, which virtual tokens do not have: the name of their table.
   */
  layerTable?: string;
  /** Numbers for each position and layer that come from that table; absent: 0. */
  layerInputWidth?: number;
  /** Undefined if every layer has attention. */
  recurrence?: Recurrence;
  /** Number of tokens that layer `layer` sees, the token itself included; null: unlimited. Absent: unlimited in every layer. */
  window?(layer: number): number | null;
  /** Number of blocks of an encoder-decoder's encoder; the decoder has `layers`. */
  encoderLayers?: number;
  /** The token that a decoder starts with; only encoder-decoders have one. */
  decoderStart?: number;
  /**
   * Names of linear modules in earlier versions of the architecture, and the ends of the names of the parameters that hold their matrices
   * now: `gate_proj` of every expert is in `gate_up_proj`. Absent: none.
   */
  formerModules?: Readonly<Record<string, string>>;
  /** Modules of a task's head, which every PEFT method trains in full: `score`, `classifier`. Empty for language models. */
  taskHead: string[];
}

/**
 * The name of parameter `name` in a checkpoint: its own name, that of the parameter it is tied to, or either with the
 * bare model's prefix added or removed. Undefined if the checkpoint has none of these.
 */
export function storedName(
  { aliases, optionalPrefix }: Pick<ModelOutline, 'aliases' | 'optionalPrefix'>,
  name: string,
  stored: { has(name: string): boolean },
): string | undefined {
  const own = aliases[name] ?? name;
  const other = own.startsWith(optionalPrefix) ? own.slice(optionalPrefix.length) : optionalPrefix + own;
  return [own, other].find((each) => stored.has(each));
}

/** The shape of a parameter in transformers and its checkpoints. */
export function shapeInFiles({ shape, turned }: { shape: readonly number[]; turned?: unknown }): number[] {
  return turned ? [shape[0]!, shape[2]!, shape[1]!] : [...shape];
}

/** Collects parameters, modules and residual sites. A module and its parameters are added together, so they always agree. */
export class OutlineBuilder {
  readonly parameters: ParameterSpec[] = [];
  readonly modules: ModuleDescription[] = [];
  readonly stacks: string[][] = [];
  readonly residualSites: ResidualSite[] = [];

  /** Declares that these modules, already added, read the same input. */
  stack(...names: string[]): this {
    this.stacks.push(names);
    return this;
  }

  linear(
    name: string,
    out: number,
    width: number,
    options: { bias?: boolean; transposed?: boolean; fresh?: number; unread?: true } = {},
  ): this {
    const { bias = false, transposed = false, fresh, unread } = options;
    const unused = unread ? { unread } : {};
    this.modules.push({ name, kind: 'linear', in: width, out, ...(transposed ? { transposed } : {}) });
    this.parameters.push({
      name: `${name}.weight`,
      shape: transposed ? [width, out] : [out, width],
      ...unused,
      ...(fresh === undefined ? {} : { fresh }),
    });
    if (bias) {
      this.parameters.push({
        name: `${name}.bias`,
        shape: [out],
        ...unused,
        ...(fresh === undefined ? {} : { fresh: 0 }),
      });
    }
    return this;
  }

  /** A linear module whose outputs, of these widths, are those of several modules. */
  fusedLinear(name: string, columns: number[], width: number, options: { bias: boolean }): this {
    const out = columns.reduce((sum, each) => sum + each, 0);
    this.linear(name, out, width, options);
    this.modules.at(-1)!.columns = columns;
    return this;
  }

  /** A convolution of each of `channels` channels by itself over `width` positions. */
  convolution(name: string, channels: number, width: number, { bias = false } = {}): this {
    this.modules.push({ name, kind: 'convolution', in: channels, out: channels });
    this.parameters.push({ name: `${name}.weight`, shape: [channels, 1, width] });
    if (bias) this.parameters.push({ name: `${name}.bias`, shape: [channels] });
    return this;
  }

  /** A parameter that belongs to no module that can be targeted. */
  parameter(name: string, shape: number[]): this {
    this.parameters.push({ name, shape });
    return this;
  }

  /** A linear module without a separate weight: a tied head. */
  tiedLinear(name: string, out: number, width: number): this {
    this.modules.push({ name, kind: 'linear', in: width, out });
    return this;
  }

  /** A module that contains others and can be named as a whole: a head of several layers. */
  container(name: string): this {
    this.modules.push({ name, kind: 'other' });
    return this;
  }

  /** The matrices `(E, out, in)` of all experts: a parameter of a module, without a separate module. */
  experts(name: string, shape: [number, number, number], { turned = false } = {}): this {
    this.parameters.push({ name, shape, experts: true, ...(turned && { turned: true }) });
    return this;
  }

  /** A router's matrix `(E, in)`, whose module PEFT does not count among the linear ones. */
  router(name: string, experts: number, width: number): this {
    this.modules.push({ name, kind: 'other', in: width, out: experts });
    this.parameters.push({ name: `${name}.weight`, shape: [experts, width] });
    return this;
  }

  embedding(name: string, rows: number, width: number, padding: number | null = null): this {
    const padded = padding === null ? {} : { padding };
    this.modules.push({ name, kind: 'embedding', in: width, out: rows, ...padded });
    this.parameters.push({ name: `${name}.weight`, shape: [rows, width] });
    return this;
  }

  /** An embedding without a separate weight. */
  tiedEmbedding(name: string, rows: number, width: number): this {
    this.modules.push({ name, kind: 'embedding', in: width, out: rows });
    return this;
  }

  norm(name: string, width: number, { bias = false }: { bias?: boolean } = {}): this {
    this.modules.push({ name, kind: 'norm', in: width });
    this.parameters.push({ name: `${name}.weight`, shape: [width] });
    if (bias) this.parameters.push({ name: `${name}.bias`, shape: [width] });
    return this;
  }

  residualAdd(site: ResidualSite): this {
    this.residualSites.push(site);
    return this;
  }
}

import type { tf } from '@graft/tf-graph';
import type { Architecture, AttentionSite } from '../models/architecture.ts';
import type { RandomState } from '../nn/dropout.ts';
import type { ExpertUpdate } from '../nn/experts/experts.ts';
import type { FrozenWeight, Weight } from '../nn/weight.ts';
import type { Random } from '../random.ts';
import type { PeftConfig } from './methods.ts';

/** One trained tensor of an adapter. */
export interface AdapterParameter {
  /** Name in the adapter's files, without the key prefix of the method. */
  name: string;
  shape: number[];
  init: ParameterInit;
  /** Set if weight decay applies although the tensor has one axis: it is neither a bias nor a norm's weight. */
  decayed?: true;
  /** Set for a value that is kept beside the trained tensors: no gradient reaches it, and it does not decay. */
  constant?: true;
  /** Set for a constant that files leave out: their reader computes it by `init`, whose draw takes no random number. */
  unsaved?: true;
  /**
   * The parameter's group, if groups have different learning rates. Absent: `second` for tensors with one axis, else `first`, as in PEFT
   * (optimizers/loraplus.py).
   */
  rate?: RateGroup;
}

/** `first`: the run's learning rate. `second`: the rate of an update's second factor. `embedding`: the rate of updates of embeddings. */
export type RateGroup = 'first' | 'second' | 'embedding';

/** Values before training: drawn, or computed from base weights. A transposed weight is passed as it is stored. */
export type ParameterInit =
  | { kind: 'draw'; draw: (random: Random) => Float32Array }
  | {
      kind: 'base';
      parameters: string[];
      /** Set if `make` also gets each weight as the quantised base holds it, in float32, after the originals. Training needs such a base. */
      quantised?: true;
      /** Computes the values; default: those of the only base weight. `drawn` returns the values of an earlier parameter of the adapter. */
      make?: (weights: Float32Array[], drawn: (name: string) => Float32Array, random: Random) => Float32Array;
    }
  | {
      /** Rows of the base weight `parameter`; `encode` is the base model's tokenizer, special tokens included. */
      kind: 'rows';
      parameter: string;
      /** Factor of the rows; absent: 1. */
      factor?: number;
      pick(from: { random: Random; encode(text: string): number[] }): number[];
    }
  /** Set by the pass over the training data before the first step: `Attachment.inputs`. */
  | { kind: 'inputs' };

/** The tensors that a wrapper or replacement can read while a forward pass is built. */
export interface LayerContext {
  /** An adapter parameter, or a tensor of `Attachment.derive`. Throws if there is none with this name. */
  parameter(name: string): tf.Tensor;
  /** A base weight, by parameter name; null if the model has none with this name. */
  weight(parameter: string): FrozenWeight | null;
  /** Random state for dropout; present only in training. */
  random?: RandomState;
  /** `(N, 1)` bool: the rows at which the adapter is active. Throws if this pass has none. Only with `Attachment.activates`. */
  active?(): tf.Tensor;
}

/** The parts of a linear module: `product(x)` is its output before `bias`. A replaced weight or bias is its replacement. */
export interface LinearParts {
  product(x: tf.Tensor): tf.Tensor;
  weight: Weight;
  bias: Weight | null;
}

/** A linear module changed by a tuner: x `(N, in)` → `(N, out)`; `base` is the unchanged module. */
export type LinearWrapper = (
  context: LayerContext,
  x: tf.Tensor,
  base: (x: tf.Tensor) => tf.Tensor,
  parts: LinearParts,
) => tf.Tensor;

/**
 * The names of an update's factors `(r, in)` and `(out, r)`, and its scale. `dropout` is the dropout probability of its input in
 * training.
 */
export interface LowRankUpdate {
  a: string;
  b: string;
  scale: number;
  dropout: number;
}

/** An embedding changed by a tuner: ids `(N)` int32 → `(N, H)`; `base` is the unchanged module. */
export type EmbeddingWrapper = (
  context: LayerContext,
  ids: tf.Tensor,
  base: (ids: tf.Tensor) => tf.Tensor,
) => tf.Tensor;

/** The update of a stack of `count` experts' matrices. */
export type ExpertUpdater = (context: LayerContext, count: number) => ExpertUpdate;

/**
 * Returns the merged values of a base weight, from its stored values and the adapter's parameters by name. It may change `weight`, which
 * nothing else reads, and return it: so a large weight is in memory once.
 */
export type Merge = (weight: Float32Array, adapter: (name: string) => Float32Array) => Float32Array;

/** An additional tensor in the files, as in PEFT's: a copy of a base parameter or of a trained one. */
export interface FileCopy {
  /** Name in the files, without the key prefix of the method. */
  name: string;
  shape: number[];
  of: { base: string } | { adapter: string };
}

/** Replaces `ModelRuntime.residualAdd`: adds a sublayer's output `(N, H)` to the residual `(N, H)`. Returns the new residual. */
export type ResidualAddWrapper = (
  context: LayerContext,
  output: tf.Tensor,
  residual: tf.Tensor,
  norm: ((x: tf.Tensor) => tf.Tensor) | undefined,
  finish: (x: tf.Tensor) => tf.Tensor,
) => tf.Tensor;

/** Keys and values that every token of an attention sees in addition to its own sequence's, `(kvHeads, n, D)` each. */
export interface KeyValuePrefix {
  keys: tf.Tensor;
  values: tf.Tensor;
}

/**
 * A pass over the training data before the first step, with the base model alone. The parameter `(r, in)` of each linear module starts at
 * the directions in which the module's inputs vary most.
 */
export interface InputPass {
  /** The parameters, and their number of directions, by module. */
  modules: Map<string, { parameter: string; rank: number }>;
  /**
   * Mean rank of the modules, if only as many directions start as they would have with that one: those that explain the largest share of their
   * module's variance. All other rows are zero. Null: every module has `rank` directions.
   */
  meanRank: number | null;
  /** Only positions with a target count; else all of each example. */
  onlyTargets: boolean;
  /** A module's pass ends when a batch leaves the cosine of each direction with its former self at least this. */
  similarity: number;
  /** Divide each direction by the root of its singular value. */
  whiten: boolean;
}

/** A PEFT config applied to one architecture. */
export interface Attachment {
  parameters: AdapterParameter[];
  /** Wrapped linear modules, by path. */
  linears?: Map<string, LinearWrapper>;
  /** Wrapped linear modules that only add a low-rank update to their base: kernels compute several of them together. */
  lowRank?: Map<string, LowRankUpdate>;
  /** Updated weights of experts, by parameter name. */
  experts?: Map<string, ExpertUpdater>;
  /** Wrapped embeddings, by path. */
  embeddings?: Map<string, EmbeddingWrapper>;
  /** Base parameters (by state-dict name) that a trained parameter replaces: whole modules, biases, norms. */
  replacements?: Map<string, (context: LayerContext) => Weight>;
  /** Changed residual additions, by the module of the residual site. */
  residualAdds?: Map<string, ResidualAddWrapper>;
  /** How parameters of kind `inputs` start. */
  inputs?: InputPass;
  /** Set if the adapter is active only at some positions: its low-rank updates are, and it changes nothing else. */
  activates?: true;
  /** Set if dropout is active in training: the option that enables it, with its value. */
  drops?: string;
  /** Number of virtual tokens before every sequence. Their ids start at the vocabulary's size. Absent: 0. */
  virtualTokens?: number;
  /** Keys and values before those of every sequence. */
  prefix?(context: LayerContext, site: Pick<AttentionSite, 'layer'>): KeyValuePrefix;
  /** Number of positions of `prefix`; a sequence's own positions start after them. Absent: 0. */
  prefixLength?: number;
  /** How base weights are merged, by parameter name. Tied weights stay tied if both names have the same function. */
  merges?: Map<string, Merge>;
  /** Tensors in the files that only PEFT needs. They are written; when files are read, only their shapes are checked. */
  copies?: FileCopy[];
  /** The config to save, if parts of it come from the model. Absent: the given config. */
  written?: PeftConfig;
  /**
   * Tensors computed from parameters once per forward pass and then read by name like parameters: the output of a soft prompt's
   * encoder. With `derive`, the files hold these tensors, and the folded form has parameters with these names.
   */
  derive?(context: LayerContext): Map<string, tf.Tensor>;
  /** Names of parameters or derived tensors, such as a prefix, that blocks read although the names do not start with the block's path. */
  sharedByBlocks?: string[];
}

/**
 * `trained`: with all trained parameters. `folded`: as saved and served, without the encoder of soft prompts. The forms are
 * the same for methods without an encoder.
 */
export type AttachmentForm = 'trained' | 'folded';

/** Trains one PEFT method: `tuners/<method>/tuner.ts`, with a row in `registry.ts`. */
export interface Tuner<Config extends PeftConfig = PeftConfig> {
  /** Prefix of every key in the adapter's files. */
  keyPrefix: string;
  /** Keys of parameters that do not start with the prefix, by name. */
  keys?: Readonly<Record<string, string>>;
  /** Throws GraftError if `config` does not fit the model. */
  attach(config: Config, model: Architecture, form: AttachmentForm): Attachment;
}

import type { tf } from '@graft/tf-graph';
import type { Architecture, AttentionSite } from '../models/architecture.ts';
import type { RandomState } from '../nn/dropout.ts';
import type { FrozenWeight, Weight } from '../nn/weight.ts';
import type { Random } from '../random.ts';
import type { PeftConfig } from './methods.ts';

/** One trained tensor of an adapter. */
export interface AdapterParameter {
  /** Name in the adapter's files, without the key prefix of the method. */
  name: string;
  shape: number[];
  init: ParameterInit;
  /** Set where weight decay applies although there is one axis: neither a bias nor a norm's weight. */
  decayed?: true;
  /**
   * The parameter's group where groups learn at rates of their own. Absent: `second` for what has one axis, else `first`, as in PEFT
   * (optimizers/loraplus.py).
   */
  rate?: RateGroup;
}

/** `first`: at the run's learning rate. `second`: that of an update's second factor. `embedding`: that of updates of embeddings. */
export type RateGroup = 'first' | 'second' | 'embedding';

/** Values before training: drawn, or made from base weights. A transposed weight comes as it is stored. */
export type ParameterInit =
  | { kind: 'draw'; draw: (random: Random) => Float32Array }
  | {
      kind: 'base';
      parameters: string[];
      /** Absent: the values of the one base weight. `drawn` gives the adapter parameters that come before this one. */
      make?: (weights: Float32Array[], drawn: (name: string) => Float32Array, random: Random) => Float32Array;
    }
  | {
      /** Rows of the base weight `parameter`; `encode` is the base model's tokenizer, special tokens included. */
      kind: 'rows';
      parameter: string;
      pick(from: { random: Random; encode(text: string): number[] }): number[];
    };

/** What a wrapper or replacement may read while a forward pass is built. */
export interface LayerContext {
  /** An adapter parameter, or a tensor of `Attachment.derive`. Throws when there is none of that name. */
  parameter(name: string): tf.Tensor;
  /** A base weight, by parameter name; null when the model has none of that name. */
  weight(parameter: string): FrozenWeight | null;
  /** Present while training, for dropout; absent otherwise. */
  random?: RandomState;
}

/** The parts of a linear module: `product(x)` is its output before `bias`. Replaced weights are the replacements. */
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
 * Names of the factors `(r, in)` and `(out, r)` of an update, and what it is multiplied by. `dropout`: the probability with which
 * what it reads is dropped while training.
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

/** The merged values of a base weight, from its values as they are stored and the adapter's parameters by name. */
export type Merge = (weight: Float32Array, adapter: (name: string) => Float32Array) => Float32Array;

/** A tensor that the files hold besides the trained ones, as PEFT's do: a copy of a base parameter or of a trained one. */
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
) => tf.Tensor;

/** Keys and values that every token of an attention sees besides its own sequence's, `(kvHeads, n, D)` each. */
export interface KeyValuePrefix {
  keys: tf.Tensor;
  values: tf.Tensor;
}

/** A PEFT config applied to one architecture. */
export interface Attachment {
  parameters: AdapterParameter[];
  /** Wrapped linear modules, by path. */
  linears?: Map<string, LinearWrapper>;
  /** Wrapped linear modules that are their base and an update of low rank, nothing else: kernels compute several of them as one. */
  lowRank?: Map<string, LowRankUpdate>;
  /** Wrapped embeddings, by path. */
  embeddings?: Map<string, EmbeddingWrapper>;
  /** Base parameters (by state-dict name) that something trained replaces: whole modules, biases, norms. */
  replacements?: Map<string, (context: LayerContext) => Weight>;
  /** Changed residual adds, by the residual site's module. */
  residualAdds?: Map<string, ResidualAddWrapper>;
  /** While it trains, something of each position is dropped: the option that says so, with its value. */
  drops?: string;
  /** Number of virtual tokens before every sequence. Their ids begin at the vocabulary's size. Absent: 0. */
  virtualTokens?: number;
  /** Keys and values put before every sequence's own. */
  prefix?(context: LayerContext, site: Pick<AttentionSite, 'layer'>): KeyValuePrefix;
  /** Number of positions that `prefix` takes; a sequence's own positions count from here. Absent: 0. */
  prefixLength?: number;
  /** How base weights merge, by parameter name. Tied weights stay tied when both names have the same function. */
  merges?: Map<string, Merge>;
  /** Why the adapter cannot be merged into the base's weights; absent when it can. */
  unmergeable?: string;
  /** Tensors that the files hold for PEFT alone. They are written; of those that are read only the shapes are checked. */
  copies?: FileCopy[];
  /** The config to save, when parts of it come from the model. Absent: the config as it was given. */
  written?: PeftConfig;
  /**
   * Tensors computed from parameters once per forward pass, then read by name like parameters: the output of a soft prompt's
   * encoder. With `derive`, the files hold these tensors, and the folded form has parameters of these names.
   */
  derive?(context: LayerContext): Map<string, tf.Tensor>;
  /** Names of parameters or derived tensors that blocks read although the names do not begin with the block's path: a prefix. */
  sharedByBlocks?: string[];
}

/**
 * `trained`: with everything that is trained. `folded`: as it is saved and served, without the encoder of soft prompts. Both are
 * the same for methods without an encoder.
 */
export type AttachmentForm = 'trained' | 'folded';

/** Trains one PEFT method: `tuners/<method>/tuner.ts`, with a row in `registry.ts`. */
export interface Tuner<Config extends PeftConfig = PeftConfig> {
  /** What every key of the adapter's files begins with. */
  keyPrefix: string;
  /** Throws GraftError when `config` does not fit the model. */
  attach(config: Config, model: Architecture, form: AttachmentForm): Attachment;
}

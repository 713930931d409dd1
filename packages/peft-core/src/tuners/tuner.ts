import type { tf } from '@graft/tf-graph';
import type { Architecture, AttentionSite } from '../models/architecture.ts';
import type { RandomState } from '../nn/dropout.ts';
import type { Weight } from '../nn/weight.ts';
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
}

/** Values before training: drawn, or made from base weights of these names (transposed weights as they are stored). */
export type ParameterInit =
  | { kind: 'draw'; draw: (random: Random) => Float32Array }
  | {
      kind: 'base';
      parameters: string[];
      /** Absent: the values of the one parameter as they are. `drawn` holds adapter parameters made before this one. */
      make?: (weights: Float32Array[], drawn: (name: string) => Float32Array, random: Random) => Float32Array;
    }
  | {
      /** Rows of the base weight `parameter`; `encode` is the base model's tokenizer, special tokens included. */
      kind: 'rows';
      parameter: string;
      pick(from: { random: Random; encode(text: string): number[] }): number[];
    };

/** What a tuner's part gets while a forward pass is built. */
export interface LayerContext {
  parameter(name: string): tf.Tensor;
  /** A base weight, by parameter name; null when the model has none of that name. */
  weight(parameter: string): Weight | null;
  /** Present while training; absent when the model only answers. */
  random?: RandomState;
}

/** A linear module without the tuner, in parts: `product(x)` is its output before `bias`. Replacements are in their places. */
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

/** An embedding changed by a tuner: ids `(N)` int32 → `(N, H)`; `base` is the unchanged module. */
export type EmbeddingWrapper = (
  context: LayerContext,
  ids: tf.Tensor,
  base: (ids: tf.Tensor) => tf.Tensor,
) => tf.Tensor;

/** The merged values of a base weight, from its values as they are stored and the adapter's parameters by name. */
export type Merge = (weight: Float32Array, adapter: (name: string) => Float32Array) => Float32Array;

/** A tensor that the files hold besides the trained ones, as PEFT's do: the same values as a base or a trained parameter has. */
export interface FileCopy {
  /** Name in the files, without the key prefix of the method. */
  name: string;
  shape: number[];
  of: { base: string } | { adapter: string };
}

/** Replaces `ModelRuntime.residualAdd`: a sublayer's output is added to the residual, both `(N, H)`. */
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
  /** Wrapped embeddings, by path. */
  embeddings?: Map<string, EmbeddingWrapper>;
  /** Base parameters (by state-dict name) that something trained replaces: whole modules, biases, norms. */
  replacements?: Map<string, (context: LayerContext) => Weight>;
  /** The way a sublayer is added to the residual where it differs from a plain sum, by the residual site's module. */
  residualAdds?: Map<string, ResidualAddWrapper>;
  /** Tokens put before every sequence, with ids from the vocabulary's size on; 0 for most methods. */
  virtualTokens?: number;
  /** Keys and values put before every sequence's own. */
  prefix?(context: LayerContext, site: AttentionSite): KeyValuePrefix;
  /** How many positions `prefix` takes: the sequence's own positions count from there. */
  prefixLength?: number;
  /** How base weights merge, by parameter name. A tied weight stays tied when both names have the same function. */
  merges?: Map<string, Merge>;
  /** Why the adapter cannot be merged into the base's weights; absent when it can. */
  unmergeable?: string;
  /** Tensors that the files hold without need. They are written as PEFT writes them, and only their shapes are read. */
  copies?: FileCopy[];
  /** The config as the files hold it, when the model decides a part of it. */
  written?: PeftConfig;
  /**
   * Tensors computed from parameters once per pass and then found by name as these are: the output of a soft prompt's encoder.
   * With it, the files hold these tensors, and the folded form has parameters of these names.
   */
  derive?(context: LayerContext): Map<string, tf.Tensor>;
  /** Parameters or derived tensors that every block reads, none of whose names begins with a block's path: a prefix. */
  sharedByBlocks?: string[];
}

/**
 * `trained`: with everything that is trained. `folded`: as it is saved and answers, without the encoder of soft prompts.
 * The same for methods without an encoder.
 */
export type AttachmentForm = 'trained' | 'folded';

/** Trains one PEFT method: `tuners/<method>/tuner.ts`, with a row in `registry.ts`. */
export interface Tuner<Config extends PeftConfig = PeftConfig> {
  /** What every key of the adapter's files begins with. */
  keyPrefix: string;
  /** Throws GraftError when `config` does not fit the model: before a job is taken. */
  attach(config: Config, model: Architecture, form: AttachmentForm): Attachment;
}

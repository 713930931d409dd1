import type { tf } from '@graft/tf-graph';
import type { Heads, Projections } from '../nn/attention/heads.ts';
import type { Columns } from '../nn/columns.ts';
import type { ModelOutline, ResidualSite, TaskType } from '../outlines/outline.ts';

/** Position of the tokens of one run; rows × tokens is the static grid, N = rows · tokens. */
export interface TokenGrid {
  rows: number;
  tokens: number;
  /** `(N)` int32, counted from 0 in each example. */
  positions: tf.Tensor;
  /** Keys before those of every sequence, at the positions from 0 on: then `positions` count on from them. */
  prefix?: number;
  /** Keys of a cache, at the positions from 0 on, which hold the row's own tokens too. */
  cached?: number;
}

/** One attention of the model. */
export interface AttentionSite extends Heads {
  /** Whose keys: the sequence's own (absent: this), an encoder's own, or an encoder's for its decoder. */
  kind?: 'self' | 'encoder' | 'cross';
  /** Counted within the encoder or the decoder. */
  layer: number;
  /** Tokens that a token looks back on, itself included; absent without a limit. */
  window?: number | null;
  /**
   * Added to the scores before the softmax, `(rows or 1, heads, n, T)`: relative positions. Beside `relative` it is of the keys before
   * the sequences' own.
   */
  bias?: tf.Tensor;
  /**
   * The same for a sequence's own keys, `(2 · reach + 1, heads)`: by how much later than its query a key is, from −reach on; beyond
   * these the ends hold.
   */
  relative?: tf.Tensor;
  /** Probability with which the base model drops attention probabilities while training; absent: 0. */
  dropout?: number;
}

/**
 * What a model's forward pass calls. The forward pass names modules by their Hugging Face path. The runtime decides what a module
 * does (a plain layer, or one that a PEFT method has changed) and how attention is computed (packed rows, or a cache).
 */
export interface ModelRuntime {
  /** x `(N, in)` → `(N, out)` by the module's weight and its bias, if it has one. */
  linear(module: string, x: tf.Tensor): tf.Tensor;
  /** The same of modules that read the same x and are a stack of the outline. */
  linears(modules: string[], x: tf.Tensor): Columns;
  /** ids `(N)` int32 → `(N, H)`. The token embedding also knows virtual tokens, whose ids begin at the vocabulary's size. */
  embedding(module: string, ids: tf.Tensor): tf.Tensor;
  /** Over the last axis of x. */
  rmsNorm(module: string, x: tf.Tensor, epsilon: number): tf.Tensor;
  /** Over the last axis of x `(N, H)`, with the module's weight and bias. `isStream`: the result is the residual stream. */
  layerNorm(module: string, x: tf.Tensor, epsilon: number, isStream?: boolean): tf.Tensor;
  /** What the projections give → `(N, heads · D)`. A cross attention's keys and values are of its memory's positions. */
  attend(site: AttentionSite, projections: Projections): tf.Tensor;
  /**
   * Rows `(K, H)` of x `(N, H)` that anything reads once the attention of block `layer` is done: after the last block's, those that a
   * head or a loss takes, if it has said which; else all.
   */
  rowsRead(layer: number, x: tf.Tensor): tf.Tensor;
  /**
   * A sublayer's output `(N, H)` is added to the residual `(N, H)`: their sum, normed by `norm` where a post-norm model does that.
   * Returns the new residual.
   */
  residualAdd(
    site: ResidualSite,
    output: tf.Tensor,
    residual: tf.Tensor,
    norm?: (x: tf.Tensor) => tf.Tensor,
  ): tf.Tensor;
  /** The base model's own dropout; only while training. */
  dropout(x: tf.Tensor, probability: number): tf.Tensor;
  /** A tensor that all blocks share (angles, a mask), kept for as long as a gradient may need it. */
  constant(x: tf.Tensor): tf.Tensor;
  /**
   * Runs block `path` on hidden states x `(N, H)` and on `others` that need gradients too (an encoder's output, a shared bias).
   * With gradient checkpointing these are all it keeps, and the block runs again for its gradient.
   */
  block(
    path: string,
    x: tf.Tensor,
    body: (x: tf.Tensor, ...others: tf.Tensor[]) => tf.Tensor,
    others?: tf.Tensor[],
  ): tf.Tensor;
}

/** Of one attention, `(rows · S, heads · D)` each. */
export interface KeysAndValues {
  k: tf.Tensor;
  v: tf.Tensor;
}

/** What a decoder's cross-attention reads: an encoder's states `(rows · S, H)`, or what was made of them before. */
export type Memory = { states: tf.Tensor } | { keysAndValues(layer: number): KeysAndValues };

/** The half of an encoder-decoder that reads the input. */
export interface EncoderHalf {
  /** ids `(rows · S)` → states `(rows · S, H)`, normed. */
  encode(runtime: ModelRuntime, ids: tf.Tensor, grid: TokenGrid): tf.Tensor;
  /** What cross-attention of the decoder's block `layer` makes of the states. */
  keysAndValues(runtime: ModelRuntime, layer: number, states: tf.Tensor): KeysAndValues;
}

/** One architecture with its sizes filled in from config.json, ready for one task. */
export interface Architecture extends ModelOutline {
  /** Who sees whom: a decoder's tokens see no later ones. */
  attention: 'causal' | 'bidirectional';
  /** While it trains, something of each position is dropped. */
  drops: boolean;
  /** Encoder-decoders only: `body` is then the decoder, and needs a memory. */
  encoder?: EncoderHalf;
  /** Token embeddings and every block: ids `(N)` → the hidden states that are read `(N or K, H)`, before the final norm. */
  body(runtime: ModelRuntime, ids: tf.Tensor, grid: TokenGrid, memory?: Memory): tf.Tensor;
  /** The norm between the last block and the head; works on any rows `(K, H)` of the hidden states. */
  finalNorm(runtime: ModelRuntime, hidden: tf.Tensor): tf.Tensor;
  /** The vocabulary's head when logits are `hidden · Wᵀ` of one module, so that the loss can be taken in chunks. */
  languageHead: string | null;
  /** Logits `(K, classes)` of normed rows `(K, H)`; absent for FEATURE_EXTRACTION. */
  logits?(runtime: ModelRuntime, hidden: tf.Tensor): tf.Tensor;
}

/** A family's forward pass with the sizes of a config.json. Throws as the family's `outline` does. */
export type MakeArchitecture = (config: Record<string, unknown>, task: TaskType) => Architecture;

import type { tf } from '@graft/tf-graph';
import type { Heads, Projections } from '../nn/attention/heads.ts';
import type { Columns } from '../nn/columns.ts';
import type { DeltaHeads } from '../nn/delta-rule/delta-rule.ts';
import type { ExpertBalance } from '../nn/experts/expert-balance.ts';
import type { Choice } from '../nn/experts/experts.ts';
import type { ModelOutline, RecurrentRule, ResidualSite, TaskType } from '../outlines/outline.ts';

/** The tokens of one run. rows × tokens is the static grid, N = rows · tokens. */
export interface TokenGrid {
  rows: number;
  tokens: number;
  /** `(N)` int32, from 0 within each example. */
  positions: tf.Tensor;
  /** Number of keys before those of every sequence. They have the positions from 0 on; `positions` continues after them. */
  prefix?: number;
  /** `(N)` int32: the number of the token's sequence within its row, in packed rows. */
  segments?: tf.Tensor;
  /** `(N)` int32: the number of positions that the token's sequence has reached, with a cache, for models with `longOver`. */
  reached?: tf.Tensor;
  /** Number of keys in a cache, at the positions from 0 on. The cache includes the row's own tokens. */
  cached?: number;
}

/** One attention layer of the model. */
export interface AttentionSite extends Heads {
  /** Source of the keys: the sequence itself (default), an encoder's self-attention, or a decoder's cross-attention to its encoder. */
  kind?: 'self' | 'encoder' | 'cross';
  /** Number of the layer within the encoder or the decoder. */
  layer: number;
  /** The earlier layer whose keys and values the projections hold; absent: they are the layer's own. */
  keysFrom?: number;
  /** Number of tokens that a token sees, itself included; absent or null: unlimited. */
  window?: number | null;
  /**
   * Added to the scores before the softmax, `(rows or 1, heads, n, T)`: relative positions. If `relative` is set too, `bias` covers only
   * the keys before the sequences' own.
   */
  bias?: tf.Tensor;
  /**
   * The bias of a sequence's own keys by distance, `(2 · reach + 1, heads)`: row `reach + d` is for a key d positions after its query. The
   * first and last rows apply to all longer distances.
   */
  relative?: tf.Tensor;
  /** `(heads)`: a score that each head's softmax counts beside those of its keys, without a value. */
  sinks?: tf.Tensor;
  /** The base model's dropout probability of attention probabilities in training; absent: 0. */
  dropout?: number;
}

/** One recurrent layer of the model. */
export interface RecurrentSite extends DeltaHeads {
  layer: number;
  rule: RecurrentRule;
  /** Path of the module with `conv1d`, `A_log` and `dt_bias`, and with `D` in a state space. */
  module: string;
}

/** Values that a recurrent layer computes from its input. */
export interface RecurrentInputs {
  /** `(N, mixedWidth)`: queries, keys and values side by side, before the convolution. */
  mixed: tf.Tensor;
  /** `(N, valueHeads)`: the rate before the sigmoid; null in a state space, whose rate is the time step. */
  rate: tf.Tensor | null;
  /** `(N, valueHeads)`: the time step before the softplus, without its bias. */
  step: tf.Tensor;
}

/**
 * The operations that a model's forward pass calls. The forward pass names modules by their Hugging Face path. The runtime decides what a
 * module does (a plain layer, or one that a PEFT method has changed) and how attention is computed (packed rows, or a cache).
 */
export interface ModelRuntime {
  /** x `(N, in)` → `(N, out)` by the module's weight and its bias, if it has one. */
  linear(module: string, x: tf.Tensor): tf.Tensor;
  /** `linear` of several modules that read the same x and are a stack of the outline. */
  linears(modules: string[], x: tf.Tensor): Columns;
  /**
   * Multiplies x `(N, in)` or `(N, k · in)` by the matrices of each token's k experts in the parameter `name`, `(E, out, in)`. Returns
   * `parts` tensors `(N, k · out / parts)`.
   */
  experts(name: string, x: tf.Tensor, choice: Choice, parts: number): Columns;
  /** The value of a parameter that no layer here owns, such as attention's sinks, in float32; with a gradient if it is trained. */
  parameter(name: string): tf.Tensor;
  /** Balances the use of experts: absent outside of training, and in models without such a loss. */
  balance?: ExpertBalance;
  /** ids `(N)` int32 → `(N, H)`. The token embedding also accepts virtual tokens, whose ids start at the vocabulary's size. */
  embedding(module: string, ids: tf.Tensor): tf.Tensor;
  /** RMSNorm over the last axis of x; `shift` is added to the module's weight. */
  rmsNorm(module: string, x: tf.Tensor, epsilon: number, shift?: number): tf.Tensor;
  /** x `(N, H)` times the frozen parameter `name` `(1)`. */
  times(name: string, x: tf.Tensor): tf.Tensor;
  /** LayerNorm over the last axis of x `(N, H)`, with the module's weight and bias. `isStream`: the result is the residual stream. */
  layerNorm(module: string, x: tf.Tensor, epsilon: number, isStream?: boolean): tf.Tensor;
  /** Projections → `(N, heads · D)`. In cross-attention, keys and values are those of the memory's positions. */
  attend(site: AttentionSite, projections: Projections): tf.Tensor;
  /**
   * The recurrence of the convolved inputs → `(N, valueHeads · valueSize)`: with time steps Δ = `softplus(step + dt_bias)` and decays
   * `−e^A_log · Δ`. The gated delta rule has rates `σ(rate)`; a state space has rates Δ, and adds `D` times each position's values.
   */
  recur(site: RecurrentSite, inputs: RecurrentInputs): tf.Tensor;
  /**
   * Selects the rows `(K, H)` of x `(N, H)` that are read after the attention of block `layer`. In the last block these are the rows that
   * a head or a loss reads, if the run declares them; otherwise all rows.
   */
  rowsRead(layer: number, x: tf.Tensor): tf.Tensor;
  /**
   * Adds a sublayer's output `(N, H)` to the residual `(N, H)`. A post-norm model normalises the sum by `norm`; other models may apply
   * `finish`, a norm or a factor, to the output first. Returns the new residual.
   */
  residualAdd(
    site: ResidualSite,
    output: tf.Tensor,
    residual: tf.Tensor,
    norm?: (x: tf.Tensor) => tf.Tensor,
    finish?: (x: tf.Tensor) => tf.Tensor,
  ): tf.Tensor;
  /** The base model's own dropout; active only in training. */
  dropout(x: tf.Tensor, probability: number): tf.Tensor;
  /** Keeps a tensor that all blocks share (angles, a mask) for as long as a gradient may need it. */
  constant(x: tf.Tensor): tf.Tensor;
  /**
   * Runs block `path` on hidden states x `(N, H)` and on `others` that need gradients too (an encoder's output, a shared bias, keys).
   * With gradient checkpointing only x and `others` are kept, and the block runs again for its gradient.
   */
  block(
    path: string,
    x: tf.Tensor,
    body: (x: tf.Tensor, ...others: tf.Tensor[]) => tf.Tensor,
    others?: tf.Tensor[],
  ): tf.Tensor;
}

/** Keys and values of one attention, `(rows · S, heads · D)` each. */
export interface KeysAndValues {
  k: tf.Tensor;
  v: tf.Tensor;
}

/** The input of a decoder's cross-attention: an encoder's states `(rows · S, H)`, or keys and values computed from them before. */
export type Memory = { states: tf.Tensor } | { keysAndValues(layer: number): KeysAndValues };

export interface EncoderHalf {
  /** ids `(rows · S)` → states `(rows · S, H)`, normalised. */
  encode(runtime: ModelRuntime, ids: tf.Tensor, grid: TokenGrid): tf.Tensor;
  /** The keys and values for the cross-attention of the decoder's block `layer`. */
  keysAndValues(runtime: ModelRuntime, layer: number, states: tf.Tensor): KeysAndValues;
}

/** One architecture with the sizes from config.json, for one task. */
export interface Architecture extends ModelOutline {
  /** `causal`: a token sees no later tokens. */
  attention: 'causal' | 'bidirectional';
  /** True where any dropout is active in training. */
  drops: boolean;
  /** Only for encoder-decoders: `body` is then the decoder, and requires a memory. */
  encoder?: EncoderHalf;
  /** Token embeddings and all blocks: ids `(N)` → the hidden states `(N or K, H)` of the rows that are read, before the final norm. */
  body(runtime: ModelRuntime, ids: tf.Tensor, grid: TokenGrid, memory?: Memory): tf.Tensor;
  /** The norm between the last block and the head; accepts any rows `(K, H)` of the hidden states. */
  finalNorm(runtime: ModelRuntime, hidden: tf.Tensor): tf.Tensor;
  /** The module of the language-model head, if logits are `hidden · Wᵀ` with its weight, so that the loss can be computed in chunks. */
  languageHead: string | null;
  /** Logits `(K, classes)` of normalised rows `(K, H)`; absent for FEATURE_EXTRACTION. */
  logits?(runtime: ModelRuntime, hidden: tf.Tensor): tf.Tensor;
}

/** Creates a family's architecture with the sizes of a config.json. Throws what the family's `outline` throws. */
export type MakeArchitecture = (config: Record<string, unknown>, task: TaskType) => Architecture;

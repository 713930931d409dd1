import type { tf } from '@graft/tf-graph';
import type { Weight } from '../nn/weight.ts';
import type { ModuleDescription } from './module-names.ts';

/** One stored weight of the base model, under its Hugging Face name. */
export interface ParameterSpec {
  name: string;
  shape: number[];
}

/** Position and visibility of the tokens of one run; rows × tokens is the static grid, N = rows · tokens. */
export interface TokenGrid {
  rows: number;
  tokens: number;
  /** `(N)` int32, counted from 0 in each example. */
  positions: tf.Tensor;
}

/**
 * What a model's forward pass is written against. It names modules by their Hugging Face path; whoever runs the model decides
 * what a module does (a plain layer, or one that a PEFT method has changed) and how attention is computed (packed rows, or a cache).
 */
export interface ModelRuntime {
  /** x `(N, in)` → `(N, out)` by the module's weight `(out, in)` and its bias, if it has one. */
  linear(module: string, x: tf.Tensor): tf.Tensor;
  /** ids `(N)` int32 → `(N, H)`. */
  embedding(module: string, ids: tf.Tensor): tf.Tensor;
  rmsNorm(module: string, x: tf.Tensor, epsilon: number): tf.Tensor;
  /** q `(rows, heads, T, D)` scaled, k and v `(rows, kvHeads, T, D)` → `(rows, heads, T, D)`. */
  attend(layer: number, q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor;
  /** A tensor that all blocks share (angles, a mask), kept for as long as a gradient may need it. */
  constant(x: tf.Tensor): tf.Tensor;
  /** Runs block `path` on hidden states x `(N, H)`; with gradient checkpointing it keeps x alone and runs the block again for its gradient. */
  block(path: string, x: tf.Tensor, body: (x: tf.Tensor) => tf.Tensor): tf.Tensor;
}

/** One architecture with its sizes filled in from config.json. */
export interface Architecture {
  modelType: string;
  vocabularySize: number;
  hiddenSize: number;
  layers: number;
  kvHeads: number;
  headSize: number;
  maxPositions: number;
  parameters: ParameterSpec[];
  modules: ModuleDescription[];
  /** A parameter that is another one by another name: a tied `lm_head.weight`. */
  aliases: Record<string, string>;
  /** Token embeddings and every block: ids `(N)` → hidden states `(N, H)` before the final norm. */
  body(runtime: ModelRuntime, ids: tf.Tensor, grid: TokenGrid): tf.Tensor;
  /** The norm between the last block and the head. */
  finalNorm(runtime: ModelRuntime, hidden: tf.Tensor): tf.Tensor;
}

/** Looks a weight up by parameter name; null when the model has none of that name (a bias). */
export type WeightLookup = (parameter: string) => Weight | null;

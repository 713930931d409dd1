import type { tf } from '@graft/tf-graph';
import type { PeftConfig } from '../config.ts';
import type { Architecture } from '../models/architecture.ts';
import type { RandomState } from '../nn/dropout.ts';
import type { Random } from '../rng.ts';

/** One trained tensor of an adapter. */
export interface AdapterParameter {
  /** Key in adapter_model.safetensors, without its `base_model.model.` prefix. */
  name: string;
  shape: number[];
  /** Values before training: drawn from `random`, or copied from a base weight of that name. */
  init: { kind: 'draw'; draw: (random: Random) => Float32Array } | { kind: 'base'; parameter: string };
}

/** What a wrapped module gets while a forward pass is built. */
export interface LayerContext {
  parameter(name: string): tf.Tensor;
  /** Present while training; absent when the model only answers. */
  random?: RandomState;
}

/** A linear module changed by a tuner: x `(N, in)` and the unchanged module's output `(N, out)` → `(N, out)`. */
export type LinearWrapper = (context: LayerContext, x: tf.Tensor, base: tf.Tensor) => tf.Tensor;

/** A PEFT config applied to one architecture. */
export interface Attachment {
  parameters: AdapterParameter[];
  /** Wrapped linear modules, by path. */
  linears: Map<string, LinearWrapper>;
  /** Base parameters (by state-dict name) that an adapter parameter stands in for: modules_to_save and trained biases. */
  replacements: Map<string, string>;
  /** What to add to base weight `parameter` to merge the adapter into it; null when it stays. Shapes as the base weight's. */
  mergeDelta(parameter: string, adapter: (name: string) => Float32Array): Float32Array | null;
}

/** One PEFT method. */
export interface Tuner {
  peftType: PeftConfig['peft_type'];
  attach(config: PeftConfig, model: Architecture): Attachment;
}

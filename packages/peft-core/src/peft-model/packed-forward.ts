import type { tf } from '@graft/tf-graph';
import type { ModelRuntime } from '../models/architecture.ts';
import type { RandomState } from '../nn/dropout.ts';
import { type PackedGrid, packedAttention } from './packed-attention.ts';
import type { ParameterTensors, PeftModel } from './peft-model.ts';

/** Packed sequences and their tokens. */
export interface PackedTokens extends PackedGrid {
  /** `(rows · tokens)` int32. */
  ids: tf.Tensor;
  /** `(K)` int32: positions whose hidden states are read; absent: all. */
  read?: tf.Tensor;
}

/** What a forward pass needs besides when the model trains. */
export interface TrainingPass {
  random: RandomState;
  /** Tensors to keep until the caller has its gradients and disposes them. */
  constants: tf.Tensor[];
  checkpointing: boolean;
}

/**
 * A forward pass over packed sequences. `input` is what an encoder-decoder's encoder reads. Returns the hidden states that are read,
 * `(K or rows · tokens, H)`, before the final norm, and the runtime for what follows.
 */
export function packedForward(
  model: PeftModel,
  parameters: ParameterTensors,
  own: PackedTokens,
  input: PackedTokens | null,
  training: TrainingPass | null = null,
): { hidden: tf.Tensor; runtime: ModelRuntime } {
  const { architecture, attachment } = model;
  const { encoder } = architecture;
  const attend = packedAttention(architecture, own, { ...training, ...(input ? { encoder: input } : {}) });
  const runtime = model.runtime({ parameters, attend, ...(own.read && { read: own.read }), ...training });
  const prefix = attachment?.prefixLength ?? 0;
  const grid = prefix > 0 ? { ...own, prefix } : own;
  if (!encoder) return { hidden: architecture.body(runtime, own.ids, grid), runtime };
  if (!input) throw new Error(`${architecture.modelType} needs an input for its encoder`);
  const states = encoder.encode(runtime, input.ids, input);
  return { hidden: architecture.body(runtime, own.ids, grid, { states }), runtime };
}

import type { tf } from '@graft/tf-graph';
import type { GridShape } from '../../examples/index.ts';
import type { ModelRuntime } from '../../models/architecture.ts';
import type { TrainingPass } from '../../peft-model/packed-forward.ts';
import type { ParameterTensors, PeftModel } from '../../peft-model/peft-model.ts';

/** What a forward pass for a loss is made from. */
export interface LossContext {
  model: PeftModel;
  grid: GridShape;
  inputs: Record<string, tf.Tensor>;
  parameters: ParameterTensors;
  training: TrainingPass | null;
}

/** The hidden states `(N, H)` that a loss starts from, before the final norm, and the runtime for what follows. */
export interface Forward extends LossContext {
  runtime: ModelRuntime;
  hidden: tf.Tensor;
}

export interface Loss {
  /** Σ scale · loss of each target, or of each example to embed. */
  total: tf.Tensor;
  /** How many of them were right. */
  correct: tf.Tensor;
  /** Predicted classes, or cosines, in the order of labels; for metrics. */
  predictions?: tf.Tensor;
}

import type { tf } from '@graft/tf-graph';
import type { GridShape } from '../../examples/index.ts';
import type { ModelRuntime } from '../../models/architecture.ts';
import type { TrainingPass } from '../../peft-model/packed-forward.ts';
import type { ParameterTensors, PeftModel } from '../../peft-model/peft-model.ts';

/** A batch on a grid by the names of a function's inputs: their shapes, their tensors or their arrays. */
export type BatchOf<T> = TokensOf<T> &
  (EncoderTokensOf<T> | NoTokens) &
  (LabelsOf<T> | LabelSetsOf<T> | EmbeddingsOf<T>);

/** `parents`: see `PackedPositions`; `spans` `(S, 4)`: see `segmentAttention`. */
type TokensOf<T> = { ids: T; positions: T; segments: T; parents: T; spans: T };
/** What an encoder-decoder's encoder reads. */
type EncoderTokensOf<T> = { input_ids: T; input_positions: T; input_segments: T; input_spans: T };
type NoTokens = Record<never, never>;
/** `label_scales` is the weight of each label's loss in the total. */
export type LabelsOf<T> = { label_positions: T; label_ids: T; label_scales: T };
/** `label_targets` `(labels, classes)`: 1 for each class that a text has. `label_scales` is the weight of each text's loss in the total. */
export type LabelSetsOf<T> = { label_positions: T; label_targets: T; label_scales: T };
/** `label_scales` is the weight of each example's loss in the total; `texts` numbers each vector's text, −1 for none. */
export type EmbeddingsOf<T> = { pool_vectors: T; pool_weights: T; label_scales: T; texts: T; scores: T };

/**
 * `factor` of each target is shared out among all classes; a class counts `classWeights` times in that, as it does in its scale. null:
 * all count the same.
 */
export interface Smoothing {
  factor: number;
  classWeights: readonly number[] | null;
}

/** What a forward pass for a loss is made from. */
export interface LossContext {
  /** Absent: targets are sure. */
  smoothing?: Smoothing | null;
  model: PeftModel;
  grid: GridShape;
  inputs: BatchOf<tf.Tensor>;
  parameters: ParameterTensors;
  training: TrainingPass | null;
}

/** The hidden states that a loss starts from, before the final norm: of labels `(labels, H)`, or all `(N, H)`. And the runtime for what follows. */
export interface Forward extends Omit<LossContext, 'inputs'> {
  runtime: ModelRuntime;
  hidden: tf.Tensor;
}

export interface Loss {
  /** Σ scale · loss of each target, or of each example to embed. */
  total: tf.Tensor;
  /** How many of them were right. */
  correct: tf.Tensor;
  /** Predicted classes, cosines, or of texts that may have several 1 for each class `(labels, classes)`, in the order of labels; for metrics. */
  predictions?: tf.Tensor;
}

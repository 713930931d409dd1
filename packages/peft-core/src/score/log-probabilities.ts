import { tf } from '@graft/tf-graph';
import type { ModelRuntime } from '../models/architecture.ts';
import { headLoss, lossesOfLogits } from '../nn/cross-entropy.ts';
import type { ParameterTensors, PeftModel } from '../peft-model/peft-model.ts';

/** Log-probabilities `(T)` of `labels` `(T)` int32, computed by the language model's head from normalised hidden states `(T, H)`. */
export function logProbabilities(
  model: PeftModel,
  runtime: ModelRuntime,
  parameters: ParameterTensors,
  hidden: tf.Tensor,
  labels: tf.Tensor,
): tf.Tensor {
  const head = model.languageHead(parameters);
  if (!head) return tf.neg(lossesOfLogits(model.architecture.logits!(runtime, hidden), labels).losses);
  return tf.neg(headLoss(hidden, head, labels, tf.zeros(labels.shape), false).losses);
}

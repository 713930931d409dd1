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
  const { languageHead: head, logits } = model.architecture;
  if (head === null || model.wraps(head))
    return tf.neg(lossesOfLogits(logits!(runtime, hidden), labels).losses);
  const weight = model.weight(`${head}.weight`, parameters)!;
  return tf.neg(headLoss(hidden, weight, labels, tf.zeros(labels.shape), false).losses);
}

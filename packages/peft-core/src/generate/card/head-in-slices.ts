import { tf } from '@graft/tf-graph';
import type { ModelRuntime } from '../../models/architecture.ts';
import { flowingMatmul } from '../../nn/matmul.ts';
import type { ParameterTensors, PeftModel } from '../../peft-model/peft-model.ts';

/**
 * `runtime` that computes the vocabulary's head slice by slice if its storage has slices: unpacking an int8 head at once takes six
 * times its bytes, more than everything else in a step.
 */
export function withHeadInSlices(
  runtime: ModelRuntime,
  model: PeftModel,
  parameters: ParameterTensors,
): ModelRuntime {
  const head = model.architecture.languageHead;
  const weight = head && !model.wraps(head) ? model.weight(`${head}.weight`, parameters) : null;
  const slices = weight?.kind === 'frozen' ? weight.slices : undefined;
  if (!head || !slices || model.weight(`${head}.bias`, parameters)) return runtime;
  const inSlices = (x: tf.Tensor): tf.Tensor => {
    const parts: tf.Tensor[] = [];
    for (const slice of slices) parts.push(flowingMatmul(x, slice.read(x, ...parts.slice(-1)), false, true));
    return parts.length === 1 ? parts[0]! : tf.concat(parts, -1);
  };
  return { ...runtime, linear: (module, x) => (module === head ? inSlices(x) : runtime.linear(module, x)) };
}

import { customGradient, rawOp, storageOf, tf } from '@graft/tf-graph';
import { flowing, flowType, usesKernels } from './computation.ts';

/** Adds a sublayer's output `(N, H)`, in the flow type, to the residual stream `(N, H)` float32. Returns the new stream. */
export function residualSum(stream: tf.Tensor, output: tf.Tensor): tf.Tensor {
  if (!usesKernels() || storageOf(output) === 'float32') return tf.add(stream, output);
  return customGradient({
    inputs: { stream, output },
    keep: {},
    value: () => rawOp('GraftResidualAdd', [], [stream, output])[0]!,
    gradient: (dy) => ({ stream: dy, output: dy }),
  });
}

/** `a + b` of two outputs `(N, W)` in the flow type: a base module's and what a method adds to it. Rounded once. */
export function flowingSum(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  if (usesKernels() || flowType() === 'float32') return tf.add(a, b);
  return customGradient({
    inputs: { a, b },
    keep: {},
    value: () => flowing(rawOp('AddV2', [], [flowing(a), flowing(b)])[0]!),
    gradient: (dy) => ({ a: dy, b: dy }),
  });
}

import { customGradient, rawOp, storageOf, tf } from '@graft/tf-graph';
import { usesKernels } from './computation.ts';

/** A sublayer's output `(N, H)`, as it flows, added to the residual stream `(N, H)` float32. Returns the new stream. */
export function residualSum(stream: tf.Tensor, output: tf.Tensor): tf.Tensor {
  if (!usesKernels() || storageOf(output) === 'float32') return tf.add(stream, output);
  return customGradient({
    inputs: { stream, output },
    keep: {},
    value: () => rawOp('GraftResidualAdd', [], [stream, output])[0]!,
    gradient: (dy) => ({ stream: dy, output: dy }),
  });
}

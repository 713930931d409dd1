import type { tf } from '@graft/tf-graph';
import { type ActivationName, gatedProduct } from '../nn/activations.ts';
import { chooseExperts, joinExperts } from '../nn/experts/experts.ts';
import type { SparseNetwork } from '../outlines/experts.ts';
import type { ModelRuntime } from './architecture.ts';

/**
 * A feed-forward network of several experts, x `(N, H)` → `(N, H)`: each token is computed by the experts that its router's logits
 * choose. `path`: that of the module. As in transformers' sparse blocks.
 */
export function sparseFeedForward(
  runtime: ModelRuntime,
  path: string,
  activation: ActivationName,
  network: SparseNetwork,
  x: tf.Tensor,
): tf.Tensor {
  const own = runtime.linear(`${path}.gate`, x); // (N, E)
  const logits = runtime.balance?.route(own) ?? own;
  const choice = chooseExperts(logits, network);
  const gateAndUp = runtime.experts(`${path}.experts.gate_up_proj`, x, choice, 2); // (N, k · I) each
  const [down] = runtime.experts(`${path}.experts.down_proj`, gatedProduct(activation, gateAndUp), choice, 1);
  return joinExperts(down!, choice);
}

import { tf } from '@graft/tf-graph';
import { type ActivationName, gatedProduct } from '../nn/activations.ts';
import { separate } from '../nn/columns.ts';
import { exactly, flowing } from '../nn/computation.ts';
import { clampedProduct, withExpertBias } from '../nn/experts/clamped-gate.ts';
import { type Choice, chooseExperts, joinExperts } from '../nn/experts/experts.ts';
import type { ClampedGate, SparseNetwork } from '../outlines/experts.ts';
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
  const own = runtime.linear(`${path}.${network.router}`, x); // (N, E)
  const logits = runtime.balance?.route(own) ?? own;
  const choice = chooseExperts(logits, network);
  if (network.clamped) return joinExperts(clampedExperts(runtime, path, network.clamped, x, choice), choice);
  const gateAndUp = runtime.experts(`${path}.experts.gate_up_proj`, x, choice, 2); // (N, k · I) each
  const [down] = runtime.experts(`${path}.experts.down_proj`, gatedProduct(activation, gateAndUp), choice, 1);
  const chosen = joinExperts(down!, choice);
  if (network.shared === null) return chosen;
  return flowing(tf.add(chosen, sharedExpert(runtime, path, activation, network.shared, x)));
}

/** The outputs `(N, k · H)` of each token's experts, of the form of `SparseNetwork.clamped`. */
function clampedExperts(
  runtime: ModelRuntime,
  path: string,
  form: ClampedGate,
  x: tf.Tensor,
  choice: Choice,
): tf.Tensor {
  const product = (name: string, x: tf.Tensor) => {
    const [y] = runtime.experts(`${path}.experts.${name}`, x, choice, 1);
    return withExpertBias(y!, runtime.parameter(`${path}.experts.${name}_bias`), choice);
  };
  return product('down_proj', clampedProduct(product('gate_up_proj', x), form));
}

/** The output `(N, H)` of the expert that computes every token, times the sigmoid of its gate. */
function sharedExpert(
  runtime: ModelRuntime,
  path: string,
  activation: ActivationName,
  width: number,
  x: tf.Tensor,
): tf.Tensor {
  const modules = [`${path}.shared_expert.gate_proj`, `${path}.shared_expert.up_proj`];
  const gateAndUp = separate(runtime.linears(modules, x), [width, width]);
  const output = runtime.linear(`${path}.shared_expert.down_proj`, gatedProduct(activation, gateAndUp));
  const gate = exactly(runtime.linear(`${path}.shared_expert_gate`, x)); // (N, 1)
  // As wide as the output: then each row is computed alone, whatever the number of rows.
  return gatedProduct('sigmoid', [flowing(tf.mul(gate, tf.ones([1, output.shape[1]!]))), output]);
}

import { attr, rawOp, type tf } from '@graft/tf-graph';

/**
 * Batched matrix product `(…, N, K) × (…, K, M) → (…, N, M)`; `transposeA`/`transposeB` swap a factor's last two axes first.
 * Always BatchMatMulV2: unlike MatMul it honours oneDNN's bfloat16 mode (measured 675 against 385 tokens/s).
 */
export function matmul(a: tf.Tensor, b: tf.Tensor, transposeA = false, transposeB = false): tf.Tensor {
  const attrs = [attr.type('T', 'float32'), attr.bool('adj_x', transposeA), attr.bool('adj_y', transposeB)];
  return rawOp('BatchMatMulV2', attrs, [a, b])[0]!;
}

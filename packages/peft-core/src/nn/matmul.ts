import { attr, cast, rawOp, type tf } from '@graft/tf-graph';

/** What matrix products are computed in; everything between them is float32. */
export type MatmulPrecision = 'fp32' | 'bf16';

let precision: MatmulPrecision = 'fp32';

/** Runs `body`, in which every matrix product is computed in `wanted`, gradients included. */
export function withMatmulPrecision<T>(wanted: MatmulPrecision, body: () => T): T {
  const outer = precision;
  precision = wanted;
  try {
    return body();
  } finally {
    precision = outer;
  }
}

/**
 * Batched matrix product `(…, N, K) × (…, K, M) → (…, N, M)` in float32, computed in the precision around it;
 * `transposeA`/`transposeB` swap a factor's last two axes first. A factor may be stored in bfloat16.
 * bf16 converts the factors, which measured 446 tokens/s against 286 for oneDNN's own conversion inside the product.
 */
export function matmul(a: tf.Tensor, b: tf.Tensor, transposeA = false, transposeB = false): tf.Tensor {
  const dtype = precision === 'bf16' ? 'bfloat16' : 'float32';
  const attrs = [attr.bool('adj_x', transposeA), attr.bool('adj_y', transposeB)];
  return cast(rawOp('BatchMatMulV2', attrs, [cast(a, dtype), cast(b, dtype)])[0]!, 'float32');
}

// How what is traced computes: in which precision, and by which implementation of a layer.
import { cast, storageOf, type tf } from '@graft/tf-graph';

/** What matrix products are computed in. */
export type MatmulPrecision = 'fp32' | 'bf16';

/**
 * `stock`: TensorFlow's own operations, which run everywhere and are the reference. `kernels`: those of packages/tf-graph/native
 * where one takes what it is given, on a processor.
 */
export type Implementation = 'stock' | 'kernels';

let precision: MatmulPrecision = 'fp32';
let implementation: Implementation = 'stock';

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

/** Runs `body`, in which layers are made of `wanted`. */
export function withImplementation<T>(wanted: Implementation, body: () => T): T {
  const outer = implementation;
  implementation = wanted;
  try {
    return body();
  } finally {
    implementation = outer;
  }
}

export const productType = (): 'float32' | 'bfloat16' => (precision === 'bf16' ? 'bfloat16' : 'float32');

export const usesKernels = (): boolean => implementation === 'kernels';

/**
 * How what flows between matrix products is stored. TensorFlow's own elementwise operations are slower in bfloat16 than in
 * float32, so only kernels make it worth while.
 */
export const flowType = (): 'float32' | 'bfloat16' => (usesKernels() ? productType() : 'float32');

/** x as it flows between products. */
export const flowing = (x: tf.Tensor): tf.Tensor => cast(x, flowType());

/** x in float32. */
export const exactly = (x: tf.Tensor): tf.Tensor => (storageOf(x) === 'float32' ? x : cast(x, 'float32'));

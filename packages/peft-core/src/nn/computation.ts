// Settings of the code that builds a graph: its precision, and which implementation of a layer it uses.
import { cast, multipliesBfloat16, type tf, usesGpu } from '@graft/tf-graph';
import { scoreBudget, type Target } from '../block-sizes/limits.ts';

export type MatmulPrecision = 'fp32' | 'bf16';

/**
 * `stock`: TensorFlow's own operations, which run everywhere and are the reference. `kernels`: the CPU kernels of
 * packages/tf-graph/native, where one supports the given inputs.
 */
export type Implementation = 'stock' | 'kernels';

interface Computation {
  precision: MatmulPrecision;
  implementation: Implementation;
  /** Only for kernels in fp32: a product's result for a row does not depend, bit for bit, on the number of other rows. */
  rowByRow: boolean;
  /** Only row by row: products with matrices in int8 or NF4 round their inputs to 8 bits, in blocks, and multiply integers. */
  roundsInputs: boolean;
  /** Maximum size of one block of attention scores with stock operations, in bytes of float32; null: the device's default. */
  scoreBytes: number | null;
}

let current: Computation = {
  precision: 'fp32',
  implementation: 'stock',
  rowByRow: false,
  roundsInputs: false,
  scoreBytes: null,
};

/** Runs `body` with these settings for every matrix product and layer that it builds, gradients included. */
export function withComputation<T>(wanted: Partial<Computation>, body: () => T): T {
  const outer = current;
  current = { ...outer, ...wanted };
  try {
    return body();
  } finally {
    current = outer;
  }
}

let target: Target | null = null;

/** The device that graphs are built for: the one that they run on, or the one set by `layingOutFor`. */
export const graphTarget = (): Target => target ?? (usesGpu() ? 'gpu' : 'cpu');

/** Runs `body`, which builds graphs for `wanted`: a GPU's graph can be inspected on a machine without one. Not reentrant. */
export async function layingOutFor<T>(wanted: Target, body: () => Promise<T>): Promise<T> {
  if (target) throw new Error('graphs are laid out for another device already');
  target = wanted;
  try {
    return await body();
  } finally {
    target = null;
  }
}

export const productType = (): 'float32' | 'bfloat16' =>
  current.precision === 'bf16' ? 'bfloat16' : 'float32';

export const usesKernels = (): boolean => current.implementation === 'kernels';

/** Maximum number of bytes of the scores of one block, for queries with this number of elements. */
export const scoreBytes = (queries: number): number =>
  current.scoreBytes ?? scoreBudget(graphTarget(), queries);

export const computesRowByRow = (): boolean => current.rowByRow;

export const roundsInputs = (): boolean => current.roundsInputs;

/**
 * The type of tensors that flow between matrix products. On a processor TensorFlow's own elementwise operations are slower in bfloat16
 * than in float32, so there only kernels make bfloat16 worthwhile; on a GPU they compute in float32 between two casts.
 */
export const flowType = (): 'float32' | 'bfloat16' =>
  usesKernels() || graphTarget() === 'gpu' ? productType() : 'float32';

/** Checks whether products of bfloat16 factors are computed in float32: the processor has no bfloat16 products, or slow ones. */
export const widensProducts = (): boolean =>
  usesKernels() && current.precision === 'bf16' && !multipliesBfloat16();

/** The type that factors of matrix products are converted to where kernels are used. */
export const factorType = (): 'float32' | 'bfloat16' => (widensProducts() ? 'float32' : productType());

/** x in the type that flows between products. */
export const flowing = (x: tf.Tensor): tf.Tensor => cast(x, flowType());

export const exactly = (x: tf.Tensor): tf.Tensor => cast(x, 'float32');

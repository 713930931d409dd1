// How what is traced computes: in which precision, and by which implementation of a layer.
import { cast, multipliesBfloat16, type tf, usesGpu } from '@graft/tf-graph';

/** What matrix products are computed in. */
export type MatmulPrecision = 'fp32' | 'bf16';

/**
 * `stock`: TensorFlow's own operations, which run everywhere and are the reference. `kernels`: those of packages/tf-graph/native
 * where one takes what it is given, on a processor.
 */
export type Implementation = 'stock' | 'kernels';

interface Computation {
  precision: MatmulPrecision;
  implementation: Implementation;
  /** Kernels in fp32 only: what a product gives for a row does not depend, bit for bit, on how many others there are. */
  rowByRow: boolean;
  /** The most that one block of attention's scores takes on stock operations, in bytes of float32; null: what suits the device. */
  scoreBytes: number | null;
}

let current: Computation = {
  precision: 'fp32',
  implementation: 'stock',
  rowByRow: false,
  scoreBytes: null,
};

/** Runs `body`, in which every matrix product is computed, and every layer made, as `wanted`; gradients included. */
export function withComputation<T>(wanted: Partial<Computation>, body: () => T): T {
  const outer = current;
  current = { ...outer, ...wanted };
  try {
    return body();
  } finally {
    current = outer;
  }
}

export type Target = 'cpu' | 'gpu';

let target: Target | null = null;

/** What graphs are laid out for: the device that they run on, or what a check of graphs asks for. */
export const graphTarget = (): Target => target ?? (usesGpu() ? 'gpu' : 'cpu');

/** Runs `body`, in which graphs are laid out for `wanted`: a GPU's can be read on a machine without one. One body at a time. */
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

/** A GPU has more memory than a processor has cache, and pays for each launch. */
const SCORE_BYTES: Record<Target, number> = { cpu: 64 * 2 ** 20, gpu: 256 * 2 ** 20 };
/** Scores may take as much as so many copies of the queries: longer rows then have larger blocks, not ever more of them. */
const QUERY_COPIES = 2;

/** The most that scores of queries of so many numbers take in one block. */
export const scoreBytes = (queries: number): number =>
  current.scoreBytes ?? Math.max(SCORE_BYTES[graphTarget()], QUERY_COPIES * 4 * queries);

export const computesRowByRow = (): boolean => current.rowByRow;

/**
 * How what flows between matrix products is stored. On a processor TensorFlow's own elementwise operations are slower in bfloat16
 * than in float32, so there only kernels make it worth while; on a GPU they compute in float32 between two casts.
 */
export const flowType = (): 'float32' | 'bfloat16' =>
  usesKernels() || graphTarget() === 'gpu' ? productType() : 'float32';

/** Whether products of what is stored in bfloat16 are computed in float32: the processor has none of their own, or slow ones. */
export const widensProducts = (): boolean =>
  usesKernels() && current.precision === 'bf16' && !multipliesBfloat16();

/** What factors of matrix products are converted to where kernels are in use. */
export const factorType = (): 'float32' | 'bfloat16' => (widensProducts() ? 'float32' : productType());

/** x as it flows between products. */
export const flowing = (x: tf.Tensor): tf.Tensor => cast(x, flowType());

/** x in float32. */
export const exactly = (x: tf.Tensor): tf.Tensor => cast(x, 'float32');

import {
  attr,
  type Program,
  ProgramBuilder,
  type ProgramFunction,
  rawOp,
  type tf,
  usesGpu,
} from '@graft/tf-graph';
import { GraftError } from '../../errors.ts';
import { type MatmulPrecision, withComputation } from '../../nn/computation.ts';
import { matmul } from '../../nn/matmul.ts';

const [rows, inner, columns] = [48, 96, 32];
// -1, 0 and 1: every product and sum is exact, in bfloat16 as in float32, and in any order.
const left = Float32Array.from({ length: rows * inner }, (_, i) => ((i % 7) % 3) - 1);
const right = Float32Array.from({ length: inner * columns }, (_, i) => ((i % 5) % 3) - 1);

const sides = {
  left: { shape: [rows, inner], dtype: 'float32' },
  right: { shape: [inner, columns], dtype: 'float32' },
} as const;

/**
 * Traces a product into a graph, runs it in a session and compares it with the product in plain JavaScript, to check that TensorFlow,
 * its device and its memory work. Then does the same for a product placed explicitly on `device`, because TensorFlow would otherwise
 * fall back to the CPU silently. Throws GraftError `engine_unsound` or `gpu_not_used`, or TensorFlow's errors.
 */
export function checkEngine(precision: MatmulPrecision, device: 'cpu' | 'gpu' = 'cpu'): void {
  if (device === 'gpu' && !usesGpu())
    throw notUsed('TensorFlow has found no GPU in this process, and would compute on the processor.');
  const builder = new ProgramBuilder();
  const product = builder.function('product', sides, ({ left, right }) => ({
    product: withComputation({ precision }, () => matmul(left, right)),
  }));
  const placed = builder.function('placed', sides, ({ left, right }) => ({
    product: placedProduct(left, right, device),
  }));
  const program = builder.build();
  try {
    checkProduct(program, product);
    try {
      checkProduct(program, placed);
    } catch (error) {
      if (device === 'cpu' || (error as NodeJS.ErrnoException).code !== 'INVALID_ARGUMENT') throw error;
      throw notUsed(`TensorFlow places nothing on the GPU: ${(error as Error).message}`, error);
    }
  } finally {
    program.close();
  }
}

/** Computes on the first device of this kind; a run fails with `INVALID_ARGUMENT` if there is none. */
export function placedProduct(left: tf.Tensor, right: tf.Tensor, device: 'cpu' | 'gpu'): tf.Tensor {
  const flags = [attr.bool('transpose_a', false), attr.bool('transpose_b', false)];
  return rawOp('MatMul', [...flags, attr.device(device)], [left, right])[0]!;
}

function checkProduct(program: Program, fn: ProgramFunction<typeof sides, { product: tf.Tensor }>): void {
  const found = program.run(fn, { left, right }).product;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let expected = 0;
      for (let i = 0; i < inner; i++) expected += left[row * inner + i]! * right[i * columns + column]!;
      const value = found.data[row * columns + column];
      if (value === expected) continue;
      throw new GraftError(
        'engine_unsound',
        `A product of whole numbers is ${value} instead of ${expected}.`,
        { fault: 'environment' },
      );
    }
  }
}

function notUsed(message: string, cause?: unknown): GraftError {
  return new GraftError('gpu_not_used', message, { fault: 'environment', cause });
}

import { ProgramBuilder } from '@graft/tf-graph';
import { GraftError } from '../../errors.ts';
import { type MatmulPrecision, withComputation } from '../../nn/computation.ts';
import { matmul } from '../../nn/matmul.ts';

const [rows, inner, columns] = [48, 96, 32];
// -1, 0 and 1: every product and sum is exact, in bfloat16 as in float32, in whatever order it is taken.
const left = Float32Array.from({ length: rows * inner }, (_, i) => ((i % 7) % 3) - 1);
const right = Float32Array.from({ length: inner * columns }, (_, i) => ((i % 5) % 3) - 1);

/**
 * Traces a product into a graph, runs it in a session and compares it with plain JavaScript's, as a sign that TensorFlow, its
 * device and its memory work. Throws GraftError `engine_unsound`, or what TensorFlow throws.
 */
export function proveEngine(precision: MatmulPrecision): void {
  const builder = new ProgramBuilder();
  const product = builder.function(
    'product',
    {
      left: { shape: [rows, inner], dtype: 'float32' },
      right: { shape: [inner, columns], dtype: 'float32' },
    },
    ({ left, right }) => ({ product: withComputation({ precision }, () => matmul(left, right)) }),
  );
  const program = builder.build();
  try {
    const found = program.run(product, { left, right }).product;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let expected = 0;
        for (let i = 0; i < inner; i++) expected += left[row * inner + i]! * right[i * columns + column]!;
        const value = found.data[row * columns + column];
        if (value === expected) continue;
        throw new GraftError(
          'engine_unsound',
          `A product of whole numbers is ${value} instead of ${expected}.`,
          {
            fault: 'environment',
          },
        );
      }
    }
  } finally {
    program.close();
  }
}

import { tf } from '@graft/tf-graph';
import type { MatrixTarget } from './targets.ts';

type Sizes = Pick<MatrixTarget, 'width' | 'out' | 'transposed'>;

/** Number of values of a product that are computed at a time: 16 MiB beside the weight. */
const valuesPerBlock = 1 << 22;

/** `B A` in the weight's storage order: `(out, width)`, or `(width, out)` if transposed. In float32, by all threads. */
export function lowRankProduct(b: Float32Array, a: Float32Array, sizes: Sizes): Float32Array {
  const product = new Float32Array(sizes.out * sizes.width);
  eachBlock(b, a, sizes, (values, start) => product.set(values, start));
  return product;
}

/** Adds `B A` to a weight as it is stored. */
export function addLowRank(weight: Float32Array, b: Float32Array, a: Float32Array, sizes: Sizes): void {
  eachBlock(b, a, sizes, (values, start) => {
    for (let i = 0; i < values.length; i++) weight[start + i]! += values[i]!;
  });
}

/** Calls `take` with consecutive rows of the product, and the index of the first value. */
function eachBlock(
  b: Float32Array,
  a: Float32Array,
  { width, out, transposed }: Sizes,
  take: (values: Float32Array, start: number) => void,
): void {
  const rank = a.length / width;
  const [rows, columns] = transposed ? [width, out] : [out, width];
  const rowsPerBlock = Math.max(1, Math.floor(valuesPerBlock / columns));
  const left = tf.tensor2d(b, [out, rank]);
  const right = tf.tensor2d(a, [rank, width]);
  try {
    for (let from = 0; from < rows; from += rowsPerBlock) {
      const count = Math.min(rowsPerBlock, rows - from);
      const block = tf.tidy(() =>
        transposed
          ? tf.matMul(tf.slice(right, [0, from], [rank, count]), left, true, true)
          : tf.matMul(tf.slice(left, [from, 0], [count, rank]), right),
      );
      take(block.dataSync() as Float32Array, from * columns);
      block.dispose();
    }
  } finally {
    tf.dispose([left, right]);
  }
}

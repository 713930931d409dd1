import { customGradient, rawOp, tf } from '@graft/tf-graph';
import { flowing } from '../../nn/computation.ts';
import { matmul } from '../../nn/matmul.ts';
import { originOf, restore } from '../../nn/recompute.ts';

/** x `(N, W)` with each block of b columns times its matrix of `blocks` `(W / b, b, b)`, or of `(1, b, b)` for all blocks. */
export function rotatedBlocks(x: tf.Tensor, blocks: tf.Tensor): tf.Tensor {
  const [count, size] = blocks.shape as [number, number];
  const origin = originOf(x);
  return customGradient({
    inputs: { x, blocks },
    keep: { blocks, origin: origin.inputs },
    value: () => flowing(joined(matmul(separate(x, count, size), blocks))),
    gradient(dy, kept) {
      const dParts = separate(dy, count, size);
      const dx = joined(matmul(dParts, kept.blocks, false, true));
      const parts = separate(restore(origin, kept.origin, dx), count, size);
      return { x: flowing(dx), blocks: matmul(parts, dParts, true) };
    },
  });

  /** `(count, rows, b)`: all columns of one matrix. A single matrix needs no transposition. */
  function separate(x: tf.Tensor, count: number, size: number): tf.Tensor {
    if (count === 1) return tf.reshape(x, [1, -1, size]);
    return tf.transpose(tf.reshape(x, [-1, count, size]), [1, 0, 2]);
  }

  function joined(parts: tf.Tensor): tf.Tensor {
    return tf.reshape(count === 1 ? parts : tf.transpose(parts, [1, 0, 2]), [-1, x.shape[1]!]);
  }
}

/** The skew-symmetric matrices `(n, b, b)` whose upper triangles, row after row, are `triangles` `(n, b (b − 1) / 2)`. */
export function skewSymmetric(triangles: tf.Tensor, size: number): tf.Tensor {
  const count = triangles.shape[0]!;
  const { upper, lower, places, signs } = triangleIndices(size);
  return customGradient({
    inputs: { triangles },
    keep: {},
    value() {
      const values = tf.gather(triangles, tf.tensor1d(places, 'int32'), 1);
      return tf.reshape(tf.mul(values, tf.tensor1d(signs)), [count, size, size]);
    },
    gradient(dy) {
      const all = tf.reshape(dy, [count, size * size]);
      const at = (indices: Int32Array) => tf.gather(all, tf.tensor1d(indices, 'int32'), 1);
      return { triangles: tf.sub(at(upper), at(lower)) };
    },
  });
}

/** Where elements of the upper triangle are in a matrix and its transpose; for each element of a matrix, its place and sign. */
function triangleIndices(size: number) {
  const count = (size * (size - 1)) / 2;
  const [upper, lower] = [new Int32Array(count), new Int32Array(count)];
  const [places, signs] = [new Int32Array(size * size), new Float32Array(size * size)];
  let next = 0;
  for (let row = 0; row < size; row++)
    for (let column = row + 1; column < size; column++) {
      const [above, below] = [row * size + column, column * size + row];
      upper[next] = above;
      lower[next] = below;
      places[above] = places[below] = next++;
      signs[above] = 1;
      signs[below] = -1;
    }
  return { upper, lower, places, signs };
}

/** The inverses of matrices `(n, b, b)`. */
export function inverse(matrices: tf.Tensor): tf.Tensor {
  const value = rawOp('MatrixInverse', [], [matrices])[0]!;
  return customGradient({
    inputs: { matrices },
    keep: { value },
    value: () => value,
    gradient(dy, { value }) {
      const left = tf.matMul(value, dy, true, false);
      return { matrices: tf.neg(tf.matMul(left, value, false, true)) };
    },
  });
}

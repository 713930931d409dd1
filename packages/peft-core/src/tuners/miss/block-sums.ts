import { customGradient, tf } from '@graft/tf-graph';
import { exactly, flowing } from '../../nn/computation.ts';

/** The sum `(N, size)` of the blocks of `size` columns of x `(N, W)`; the last block may be shorter. In float32. Keeps nothing. */
export function blockSums(x: tf.Tensor, size: number): tf.Tensor {
  const width = x.shape[1]!;
  return customGradient({
    inputs: { x },
    keep: {},
    value: () => summed(x, size),
    gradient: (dy) => ({ x: repeated(dy, width) }),
  });
}

/** y `(N, size)` repeated side by side, up to `width` columns. Keeps nothing. */
export function repeatedColumns(y: tf.Tensor, width: number): tf.Tensor {
  const size = y.shape[1]!;
  return customGradient({
    inputs: { y },
    keep: {},
    value: () => repeated(y, width),
    gradient: (dy) => ({ y: summed(dy, size) }),
  });
}

function summed(x: tf.Tensor, size: number): tf.Tensor {
  const width = x.shape[1]!;
  const whole = width - (width % size);
  const blocks = tf.sum(tf.reshape(tf.slice(exactly(x), [0, 0], [-1, whole]), [-1, whole / size, size]), 1);
  if (whole === width) return blocks;
  const rest = tf.slice(exactly(x), [0, whole], [-1, -1]);
  return tf.add(
    blocks,
    tf.pad(rest, [
      [0, 0],
      [0, size - (width - whole)],
    ]),
  );
}

function repeated(y: tf.Tensor, width: number): tf.Tensor {
  const size = y.shape[1]!;
  const tiled = tf.tile(y, [1, Math.ceil(width / size)]);
  return flowing(width % size === 0 ? tiled : tf.slice(tiled, [0, 0], [-1, width]));
}

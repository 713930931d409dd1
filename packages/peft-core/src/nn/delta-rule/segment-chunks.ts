import { tf } from '@graft/tf-graph';
import { CHUNK } from '../../block-sizes/delta-groups.ts';
import { usesKernels } from '../computation.ts';

/** Rows of positions in chunks, and which positions belong together. */
export interface SegmentChunks {
  rows: number;
  /** Positions of a row. */
  tokens: number;
  /** Positions of a chunk, and chunks of a row; the last chunk may be longer than the row. */
  size: number;
  count: number;
  /** `(R · T)` int32: the number of each position's sequence within its row; 0: it belongs to none. */
  segments: tf.Tensor;
  /** Null where kernels compute, whose chunks start with each sequence. */
  masks: ChunkMasks | null;
}

/** Float32, 1 or 0. */
export interface ChunkMasks {
  /** `(R, 1, c, C, C)`: position j is of the same segment as position i of its chunk, and not later. */
  within: tf.Tensor;
  /** `(R, 1, c, C, 1)`: the segment began before the chunk, so that the position reads the state before the chunk. */
  reads: tf.Tensor;
  /** `(R, 1, c, C, 1)`: the segment is that of the chunk's last position, so that the position changes the state after the chunk. */
  writes: tf.Tensor;
}

function sizesOf(rows: number, tokens: number): Omit<SegmentChunks, 'masks' | 'segments'> {
  const size = Math.min(CHUNK, tokens);
  return { rows, tokens, size, count: Math.ceil(tokens / size) };
}

/**
 * The chunks of packed rows. `segments` `(R · T)` int32: positions of one sequence have the same number and are neighbours. `byKernel`:
 * whether a kernel computes them.
 */
export function segmentChunks(segments: tf.Tensor, rows: number, byKernel = usesKernels()): SegmentChunks {
  const sizes = sizesOf(rows, segments.shape[0]! / rows);
  if (byKernel) return { ...sizes, segments, masks: null };
  const { tokens, size: C, count: c } = sizes;
  // In float32, as all comparisons: exact, and a GPU compares them itself.
  const numbers = tf.reshape(tf.cast(segments, 'float32'), [rows, tokens]);
  const filled = c * C === tokens ? numbers : tf.concat([numbers, tf.zeros([rows, c * C - tokens])], 1);
  const chunks = tf.reshape(filled, [rows, 1, c, C, 1]);
  const last = tf.slice(chunks, [0, 0, 0, C - 1, 0], [rows, 1, c, 1, 1]);
  // No segment has the number −1: the first chunk reads nothing.
  const none = tf.fill([rows, 1, 1, 1, 1], -1);
  const before = tf.concat([none, tf.slice(last, [0, 0, 0, 0, 0], [rows, 1, c - 1, 1, 1])], 2);
  const same = (a: tf.Tensor, b: tf.Tensor) => tf.cast(tf.equal(a, b), 'float32');
  return {
    ...sizes,
    segments,
    masks: {
      within: tf.mul(same(chunks, tf.reshape(filled, [rows, 1, c, 1, C])), notLater(C)),
      reads: same(chunks, before),
      writes: same(chunks, last),
    },
  };
}

/** The chunks of rows that each continue one sequence. `used` `(R · T)` int32: 1 at the positions of the sequence, otherwise 0. */
export function continuedChunks(
  rows: number,
  tokens: number,
  used: tf.Tensor,
  byKernel = usesKernels(),
): SegmentChunks {
  const sizes = sizesOf(rows, tokens);
  if (byKernel) return { ...sizes, segments: used, masks: null };
  const all = tf.ones([1, 1, 1, 1, 1]);
  return { ...sizes, segments: used, masks: { within: notLater(sizes.size), reads: all, writes: all } };
}

/** `(1, 1, 1, C, C)`: 1 where j ≤ i. */
function notLater(C: number): tf.Tensor {
  return triangle(C, (i, j) => j <= i);
}

/** `(1, 1, 1, C, C)`: 1 where `isSet`. */
export function triangle(C: number, isSet: (i: number, j: number) => boolean): tf.Tensor {
  const values = Float32Array.from({ length: C * C }, (_, at) => (isSet(Math.floor(at / C), at % C) ? 1 : 0));
  return tf.tensor(values, [1, 1, 1, C, C]);
}

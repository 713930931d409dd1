import { rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { length, type Range } from '../../block-sizes/range.ts';

/** Returns a slice of x, not copied before `after` is computed. It has no gradient. */
export function cut(x: tf.Tensor, ranges: readonly Range[], after: tf.Tensor[]): tf.Tensor {
  if (ranges.every((range, axis) => length(range) === x.shape[axis]))
    return withControlDependency(x, ...after);
  const begins = ranges.map(({ from }) => from);
  const sizes = ranges.map(length);
  return rawOp('Slice', [], [x, tf.tensor1d(begins, 'int32'), tf.tensor1d(sizes, 'int32')], after)[0]!;
}

/** Reshapes x, unless it already has this shape. */
export const shaped = (x: tf.Tensor, shape: number[]): tf.Tensor =>
  tf.util.arraysEqual(x.shape, shape) ? x : tf.reshape(x, shape);

export const joined = (parts: readonly tf.Tensor[], axis: number): tf.Tensor =>
  parts.length === 1 ? parts[0]! : tf.concat([...parts], axis);

/** Pads x on one axis with `before` zeros in front and `behind` zeros at the end. */
export function padded(x: tf.Tensor, axis: number, before: number, behind: number): tf.Tensor {
  if (before === 0 && behind === 0) return x;
  return tf.pad(
    x,
    x.shape.map((_, i): [number, number] => (i === axis ? [before, behind] : [0, 0])),
  );
}

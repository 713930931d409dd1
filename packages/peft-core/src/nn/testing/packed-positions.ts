import { tf } from '@graft/tf-graph';
import type { PackedPositions } from '../attention/masks.ts';

/** The packed positions of one or more rows with these segment numbers. */
export const packedPositions = (segments: number[]): PackedPositions => ({
  segments: tf.tensor1d(segments, 'int32'),
  positions: tf.range(0, segments.length, 1, 'int32'),
});

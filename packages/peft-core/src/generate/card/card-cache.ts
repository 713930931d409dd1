// The cache of keys and values on a GPU, in the layout that batched products need, so that nothing is transposed or split after reading.
import { cast, type ProgramBuilder, rawOp, tf, type Variable } from '@graft/tf-graph';
import { attentionOf, keysAndValuesWidth, type Layers, layersOf } from '../../outlines/outline.ts';
import { BLOCK } from '../block-pool.ts';

/** Keys and values of a layer, `(positions · kvHeads, D)` each: the heads of a position are adjacent. */
export interface CardLayer {
  keys: Variable;
  values: Variable;
}

/** By layer; only those with own keys and values. */
export type CardCaches = ReadonlyMap<number, CardLayer>;

export function declareCardCaches(
  builder: ProgramBuilder,
  model: Layers,
  blocks: number,
  dtype: 'float32' | 'bfloat16',
): CardCaches {
  return new Map(
    layersOf(model).attending.map((layer) => {
      const { kvHeads, headSize } = attentionOf(model, layer);
      const shape = [blocks * BLOCK * kvHeads, headSize];
      const variable = (name: string) => builder.variable({ name: `cache.${layer}.${name}`, shape, dtype });
      return [layer, { keys: variable('keys'), values: variable('values') }];
    }),
  );
}

/** Fills a variable with zeros on the GPU: tf.zeros would create them on the host first. */
export function clear(variable: Variable): void {
  const zero = cast(tf.scalar(0), variable.dtype);
  variable.assign(rawOp('Fill', [], [tf.tensor1d(variable.shape, 'int32'), zero])[0]!);
}

export const bytesOfPosition = (model: Layers, dtype: 'float32' | 'bfloat16'): number =>
  keysAndValuesWidth(model) * (dtype === 'float32' ? 4 : 2);

/*
 * Row numbers are int64: TensorFlow computes int32 operations on the CPU, even for tensors on a GPU.
 */

/** The rows `(N · kvHeads)` int64 of positions at `places` `(N)` int32 in the cache. */
export function rowsOfPlaces(places: tf.Tensor, kvHeads: number): tf.Tensor {
  return tf.reshape(rowsByHead(tf.reshape(cast(places, 'int64'), [-1, 1]), [1, kvHeads], kvHeads), [-1]);
}

/**
 * The rows `(S, kvHeads, T)` int64 of the first `lengths` `(S)` int32 positions of sequences in `blocks` `(S, T / BLOCK)` int32.
 * Later positions get the row of a position with zeros: remains of earlier sequences in a block may be NaN.
 */
export function rowsOfBlocks(blocks: tf.Tensor, lengths: tf.Tensor, kvHeads: number): tf.Tensor {
  const [sequences, count] = blocks.shape as [number, number];
  const tokens = count * BLOCK;
  const starts = tf.reshape(int64('Mul', cast(blocks, 'int64'), BLOCK), [sequences, count, 1]);
  const places = tf.reshape(int64('AddV2', starts, countedUpTo(BLOCK, [1, 1, BLOCK])), [sequences, tokens]);
  const isThere = withinLengths(lengths, tokens);
  const known = rawOp('SelectV2', [], [isThere, places, tf.scalar(0, 'int32')])[0]!;
  return rowsByHead(tf.reshape(known, [sequences, 1, tokens]), [1, kvHeads, 1], kvHeads);
}

/** `(S, tokens)` bool: whether a position is one of the first `lengths` `(S)` int32. */
export function withinLengths(lengths: tf.Tensor, tokens: number): tf.Tensor {
  const ends = tf.reshape(cast(lengths, 'float32'), [-1, 1]);
  return tf.less(tf.range(0, tokens, 1, 'float32'), ends);
}

/** `places · kvHeads + head`, with heads along the axis of `shape` that is not 1. */
function rowsByHead(places: tf.Tensor, shape: number[], kvHeads: number): tf.Tensor {
  return int64('AddV2', int64('Mul', places, kvHeads), countedUpTo(kvHeads, shape));
}

/** 0…count − 1, a constant that takes the type of its addend. */
const countedUpTo = (count: number, shape: number[]): tf.Tensor =>
  tf.tensor(
    Array.from({ length: count }, (_, i) => i),
    shape,
    'int32',
  );

const int64 = (op: 'Mul' | 'AddV2', x: tf.Tensor, y: tf.Tensor | number): tf.Tensor =>
  rawOp(op, [], [x, typeof y === 'number' ? tf.scalar(y, 'int32') : y])[0]!;

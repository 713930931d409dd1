// The cache of keys and values on a card: as products of batches take them, so that nothing is transposed or split once it is read.
import { cast, type ProgramBuilder, rawOp, tf, type Variable } from '@graft/tf-graph';
import type { Architecture } from '../../models/architecture.ts';
import { BLOCK } from '../block-pool.ts';

/** Of a layer, `(positions · kvHeads, D)` each: the heads of a position lie beside each other. */
export interface CardLayer {
  keys: Variable;
  values: Variable;
}

export type CardCaches = readonly CardLayer[];

export function declareCardCaches(
  builder: ProgramBuilder,
  { layers, kvHeads, headSize }: Architecture,
  blocks: number,
  dtype: 'float32' | 'bfloat16',
): CardCaches {
  const shape = [blocks * BLOCK * kvHeads, headSize];
  const variable = (name: string) => builder.variable({ name, shape, dtype });
  return Array.from({ length: layers }, (_, layer) => ({
    keys: variable(`cache.${layer}.keys`),
    values: variable(`cache.${layer}.values`),
  }));
}

/** Fills a variable with zeros on the card: tf.zeros makes them all on the host first. */
export function clear(variable: Variable): void {
  const zero = cast(tf.scalar(0), variable.dtype);
  variable.assign(rawOp('Fill', [], [tf.tensor1d(variable.shape, 'int32'), zero])[0]!);
}

/** Bytes that a position takes in all layers. */
export const bytesOfPosition = (
  { layers, kvHeads, headSize }: Pick<Architecture, 'layers' | 'kvHeads' | 'headSize'>,
  dtype: 'float32' | 'bfloat16',
): number => layers * 2 * kvHeads * headSize * (dtype === 'float32' ? 4 : 2);

/*
 * Rows are counted in int64: a card has no operations on int32, which it has the processor compute.
 */

/** The rows `(N · kvHeads)` int64 of positions whose places in the cache are `places` `(N)` int32. */
export function rowsOfPlaces(places: tf.Tensor, kvHeads: number): tf.Tensor {
  return tf.reshape(ofHeads(tf.reshape(cast(places, 'int64'), [-1, 1]), [1, kvHeads], kvHeads), [-1]);
}

/**
 * The rows `(S, kvHeads, T)` int64 of the first `lengths` `(S)` int32 positions of sequences that lie in `blocks` `(S, T / BLOCK)` int32.
 * Those after are the row of a position that holds zeros: what earlier sequences left in a block may be NaN.
 */
export function rowsOfBlocks(blocks: tf.Tensor, lengths: tf.Tensor, kvHeads: number): tf.Tensor {
  const [sequences, count] = blocks.shape as [number, number];
  const tokens = count * BLOCK;
  const starts = tf.reshape(int64('Mul', cast(blocks, 'int64'), BLOCK), [sequences, count, 1]);
  const places = tf.reshape(int64('AddV2', starts, countedUpTo(BLOCK, [1, 1, BLOCK])), [sequences, tokens]);
  const isThere = withinLengths(lengths, tokens);
  const known = rawOp('SelectV2', [], [isThere, places, tf.scalar(0, 'int32')])[0]!;
  return ofHeads(tf.reshape(known, [sequences, 1, tokens]), [1, kvHeads, 1], kvHeads);
}

/** `(S, tokens)` bool: whether a position is one of the first `lengths` `(S)` int32. */
export function withinLengths(lengths: tf.Tensor, tokens: number): tf.Tensor {
  const ends = tf.reshape(cast(lengths, 'float32'), [-1, 1]);
  return tf.less(tf.range(0, tokens, 1, 'float32'), ends);
}

/** `places · kvHeads + head`, heads along the axis that `shape` has. */
function ofHeads(places: tf.Tensor, shape: number[], kvHeads: number): tf.Tensor {
  return int64('AddV2', int64('Mul', places, kvHeads), countedUpTo(kvHeads, shape));
}

/** 0…count − 1, a constant: it takes the type of what it is added to. */
const countedUpTo = (count: number, shape: number[]): tf.Tensor =>
  tf.tensor(
    Array.from({ length: count }, (_, i) => i),
    shape,
    'int32',
  );

const int64 = (op: 'Mul' | 'AddV2', x: tf.Tensor, y: tf.Tensor | number): tf.Tensor =>
  rawOp(op, [], [x, typeof y === 'number' ? tf.scalar(y, 'int32') : y])[0]!;

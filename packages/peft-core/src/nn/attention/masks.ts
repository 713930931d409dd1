import { rawOp, tf } from '@graft/tf-graph';
import type { Range } from '../../block-sizes/range.ts';

/** Added to a score where attention is not allowed. Finite, so that a fully masked row does not become NaN. */
export const MASKED = -1e9;

export interface ScoreBlock {
  rows: Range;
  queries: Range;
  keys: Range;
}

/** Shape of the scores that a mask applies to. */
export interface ScoreGrid {
  /** 1 where all rows have the same mask. */
  rows: number;
  /** 1 where all queries have the same mask. */
  queries: number;
  keys: number;
}

/** Determines which keys a query sees. */
export interface Visibility {
  grid: ScoreGrid;
  /**
   * The tensors to compare, `(rows or 1, 1, queries or 1, keys or 1)`, as float32: exact for positions and segment numbers, and compared
   * on the device, whereas TensorFlow compares int32 on the CPU even when a GPU is present.
   */
  operands(): tf.Tensor[];
  /** `(rows, 1, queries, keys)` bool: true where a query sees a key. `after`: the `after` of `rawOp` for each first operation. */
  seen(operands: tf.Tensor[], after: tf.Tensor[]): tf.Tensor;
  /** The range of keys outside which none of these queries sees a key; absent: all keys. */
  visibleKeys?(queries: Range): Range;
}

/** A mask of scores, computed as a whole or for one block. `keep` is called with tensors that several layers share. */
export class Mask {
  readonly #visibility: Visibility;
  readonly #keep: (x: tf.Tensor) => tf.Tensor;
  #additive: tf.Tensor | null = null;
  #operands: tf.Tensor[] | null = null;
  readonly #blocks = new Map<string, tf.Tensor[]>();

  constructor(sight: Visibility, keep: (x: tf.Tensor) => tf.Tensor = (x) => x) {
    this.#visibility = sight;
    this.#keep = keep;
  }

  /** The whole mask as a term of the scores: `(rows or 1, 1, queries or 1, keys)` float32. */
  additive(): tf.Tensor {
    if (this.#additive) return this.#additive;
    const seen = this.#visibility.seen(this.#visibility.operands(), []);
    this.#additive = this.#keep(tf.mul(tf.sub(tf.cast(seen, 'float32'), 1), -MASKED));
    return this.#additive;
  }

  get visibleKeys(): Visibility['visibleKeys'] {
    return this.#visibility.visibleKeys;
  }

  /** The operands of a block: a few vectors, each with the length of the block's queries or keys. */
  operandsOf(block: ScoreBlock): tf.Tensor[] {
    const key = [block.rows, block.queries, block.keys].map(({ from, to }) => `${from}-${to}`).join();
    const known = this.#blocks.get(key);
    if (known) return known;
    this.#operands ??= this.#visibility.operands().map(this.#keep);
    const { rows, queries } = this.#visibility.grid;
    const own = this.#operands.map((x) => {
      const ranges = [rows > 1 ? block.rows : null, null, queries > 1 ? block.queries : null, block.keys];
      const begin = x.shape.map((size, axis) => (size === 1 ? 0 : (ranges[axis]?.from ?? 0)));
      const end = x.shape.map((size, axis) => (size === 1 ? 1 : (ranges[axis]?.to ?? size)));
      const size = end.map((to, axis) => to - begin[axis]!);
      return size.every((length, axis) => length === x.shape[axis])
        ? x
        : this.#keep(tf.slice(x, begin, size));
    });
    this.#blocks.set(key, own);
    return own;
  }

  /** The mask of a block from its operands, `(rows or 1, 1, queries or 1, keys)` bool. */
  seen(operands: tf.Tensor[], after: tf.Tensor[]): tf.Tensor {
    return this.#visibility.seen(operands, after);
  }
}

/** The sequence that each position of packed rows belongs to, `(rows · T)` int32 each. */
export interface PackedPositions {
  /** Number of the position's sequence within its row; 0 is padding. */
  segments: tf.Tensor;
  /** Number of the sequence that is the prefix of the position's sequence; −1 for none. Absent: no sequence shares a prefix. */
  parents?: tf.Tensor;
  /** Number of the sequence that is the prefix of that prefix; −1 for none. Absent: no prefix follows another. */
  grandparents?: tf.Tensor;
  /** Position within the sequence, from 0. */
  positions: tf.Tensor;
}

const number = (x: tf.Tensor) => tf.cast(x, 'float32');
/** Reshapes x `(rows · n)` as the operand of queries, `(rows, 1, n, 1)`. */
const queryOperand = (x: tf.Tensor, rows: number) => tf.reshape(number(x), [rows, 1, -1, 1]);
/** Reshapes x `(rows · T)` as the operand of keys, `(rows, 1, 1, T)`. */
const keyOperand = (x: tf.Tensor, rows: number) => tf.reshape(number(x), [rows, 1, 1, -1]);
/** The positions 0… of keys, `(1, 1, 1, T)`. */
const counted = (keys: number) =>
  tf.tensor(
    Float32Array.from({ length: keys }, (_, i) => i),
    [1, 1, 1, keys],
  );

type Comparison = 'Equal' | 'GreaterEqual' | 'Greater' | 'Less';
const compare = (op: Comparison, a: tf.Tensor, b: tf.Tensor, after: tf.Tensor[]) =>
  rawOp(op, [], [a, b], after)[0]!;

export interface PackedCausalOptions {
  /** Number of tokens that a token sees, itself included; null: unlimited. */
  window?: number | null;
  /** Number of keys before those of every sequence. Their positions start at 0, and `positions` counts them too. */
  prefix?: number;
  keep?: (x: tf.Tensor) => tf.Tensor;
}

/**
 * The mask of packed rows. A token sees the keys of the same segment, and of the segments that are its prefixes, that are not later than
 * the token and fewer than `window` positions before it. Of the `prefix` keys it sees those within the window. Padding sees only
 * padding and `prefix` keys. The keys are those of `prefix`, then the row's own. A shared segment must come before the segments that
 * share it.
 */
export function packedCausalMask(
  { segments, parents, grandparents, positions }: PackedPositions,
  rows: number,
  { window = null, prefix = 0, keep }: PackedCausalOptions = {},
): Mask {
  const tokens = segments.shape[0]! / rows;
  const ancestors = [parents, grandparents].filter((each) => each !== undefined);
  const visibility: Visibility = {
    grid: { rows, queries: tokens, keys: prefix + tokens },
    operands() {
      const position = queryOperand(positions, rows);
      const [segmentOfKey, positionOfKey] = [keyOperand(segments, rows), keyOperand(positions, rows)];
      return [
        queryOperand(segments, rows),
        position,
        before(tf.zeros([1, 1, 1, prefix]), segmentOfKey),
        before(counted(prefix), positionOfKey),
        ...(prefix === 0 ? [] : [prefixKeyMask(prefix, tokens)]),
        ...ancestors.map((each) => queryOperand(each, rows)),
        ...(window === null ? [] : [tf.sub(position, window)]),
      ];
    },
    seen([segment, position, segmentOfKey, positionOfKey, ...others], after) {
      const prefixKeys = prefix === 0 ? undefined : others.shift();
      const segmentsBefore = others.splice(0, ancestors.length);
      const tooLongAgo = window === null ? undefined : others.shift();
      let seen = compare('Equal', segment!, segmentOfKey!, after);
      for (const each of segmentsBefore)
        seen = tf.logicalOr(seen, compare('Equal', each, segmentOfKey!, after));
      if (prefixKeys) seen = tf.logicalOr(seen, prefixKeys);
      seen = tf.logicalAnd(seen, compare('GreaterEqual', position!, positionOfKey!, after));
      return tooLongAgo ? tf.logicalAnd(seen, compare('Less', tooLongAgo, positionOfKey!, after)) : seen;
    },
    visibleKeys({ from, to }) {
      const earliest = window === null || parents || prefix > 0 ? 0 : from - window + 1;
      return { from: Math.max(0, earliest), to: prefix + to };
    },
  };
  return new Mask(visibility, keep);
}

/** `(1, 1, 1, prefix + T)` bool: true for the keys of a prefix. They belong to every sequence, so a segment number cannot identify them. */
const prefixKeyMask = (prefix: number, tokens: number) =>
  tf.cast(before(tf.ones([1, 1, 1, prefix]), tf.zeros([1, 1, 1, tokens])), 'bool');

/** Puts `first` `(1, 1, 1, n)` before every row of `x` `(rows, 1, 1, T)`. */
function before(first: tf.Tensor, x: tf.Tensor): tf.Tensor {
  if (first.size === 0) return x;
  return tf.concat([tf.mul(first, tf.ones([x.shape[0]!, 1, 1, 1])), x], 3);
}

export interface PackedOptions {
  /** Number of keys before those of every sequence; all tokens see them. */
  prefix?: number;
  keep?: (x: tf.Tensor) => tf.Tensor;
}

/**
 * The mask of an encoder's self-attention, or of a decoder's attention to an encoder that is packed in the same way: a token sees every
 * key of the same segment. segments `(rows · n)` and keySegments `(rows · T)` int32.
 */
export function packedMask(
  segments: tf.Tensor,
  keySegments: tf.Tensor,
  rows: number,
  { prefix = 0, keep }: PackedOptions = {},
): Mask {
  const [queries, keys] = [segments.shape[0]! / rows, keySegments.shape[0]! / rows];
  const visibility: Visibility = {
    grid: { rows, queries, keys: prefix + keys },
    operands: () => [
      queryOperand(segments, rows),
      before(tf.zeros([1, 1, 1, prefix]), keyOperand(keySegments, rows)),
      ...(prefix === 0 ? [] : [prefixKeyMask(prefix, keys)]),
    ],
    seen([own, others, prefixKeys], after) {
      const same = compare('Equal', own!, others!, after);
      return prefixKeys ? tf.logicalOr(same, prefixKeys) : same;
    },
  };
  return new Mask(visibility, keep);
}

/** The mask of keys at the positions 0…length − 1 for queries at `positions` `(rows · n)` int32. */
export function cachedMask(
  positions: tf.Tensor,
  rows: number,
  length: number,
  window: number | null = null,
): Mask {
  return new Mask({
    grid: { rows, queries: positions.shape[0]! / rows, keys: length },
    operands() {
      const own = queryOperand(positions, rows);
      return [own, counted(length), ...(window === null ? [] : [tf.sub(own, window)])];
    },
    seen([own, keys, tooLongAgo], after) {
      const notLater = compare('GreaterEqual', own!, keys!, after);
      return tooLongAgo ? tf.logicalAnd(notLater, compare('Less', tooLongAgo, keys!, after)) : notLater;
    },
  });
}

/** The mask of padded inputs: in each row the first `lengths` `(rows)` int32 of `tokens` keys are visible; the rest is padding. */
export function lengthsMask(lengths: tf.Tensor, tokens: number): Mask {
  const rows = lengths.shape[0]!;
  return new Mask({
    grid: { rows, queries: 1, keys: tokens },
    operands: () => [counted(tokens), queryOperand(lengths, rows)],
    seen: ([keys, length], after) => compare('Less', keys!, length!, after),
  });
}

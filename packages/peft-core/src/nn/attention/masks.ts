import { rawOp, tf } from '@graft/tf-graph';

/** Added to a score where attention is not allowed. Finite, so that a row with everything masked does not become NaN. */
export const MASKED = -1e9;

/** From the first to before the last. */
export interface Range {
  from: number;
  to: number;
}

export interface ScoreBlock {
  rows: Range;
  queries: Range;
  keys: Range;
}

/** The whole of what one attention computes scores of. */
export interface ScoreGrid {
  /** 1 where all rows see alike. */
  rows: number;
  /** 1 where all queries see alike. */
  queries: number;
  keys: number;
}

/** Which keys a query sees. */
export interface Sight {
  grid: ScoreGrid;
  /**
   * What is compared, `(rows or 1, 1, queries or 1, keys or 1)`. Numbers are float32, which is exact for positions and which a GPU
   * compares itself: it leaves int32 to the processor.
   */
  compared(): tf.Tensor[];
  /** `(rows, 1, queries, keys)` bool: true where a query sees a key. `after`: as `rawOp` has it, for each first operation. */
  seen(compared: tf.Tensor[], after: tf.Tensor[]): tf.Tensor;
  /** The keys outside which these queries see none; absent: all. */
  reach?(queries: Range): Range;
}

/** A mask of scores, made whole or for one block of them. `keep`: called for what is made once and used by several layers. */
export class Mask {
  readonly #sight: Sight;
  readonly #keep: (x: tf.Tensor) => tf.Tensor;
  #additive: tf.Tensor | null = null;
  #compared: tf.Tensor[] | null = null;
  readonly #parts = new Map<string, tf.Tensor[]>();

  constructor(sight: Sight, keep: (x: tf.Tensor) => tf.Tensor = (x) => x) {
    this.#sight = sight;
    this.#keep = keep;
  }

  /** All of it, to be added to the scores: `(rows or 1, 1, queries or 1, keys)` float32. */
  additive(): tf.Tensor {
    if (this.#additive) return this.#additive;
    const seen = this.#sight.seen(this.#sight.compared(), []);
    this.#additive = this.#keep(tf.mul(tf.sub(tf.cast(seen, 'float32'), 1), -MASKED));
    return this.#additive;
  }

  get reach(): Sight['reach'] {
    return this.#sight.reach;
  }

  /** What is compared in a block. It has no more numbers than the block has queries and keys. */
  partsOf(block: ScoreBlock): tf.Tensor[] {
    const key = [block.rows, block.queries, block.keys].map(({ from, to }) => `${from}-${to}`).join();
    const known = this.#parts.get(key);
    if (known) return known;
    this.#compared ??= this.#sight.compared().map(this.#keep);
    const { rows, queries } = this.#sight.grid;
    const parts = this.#compared.map((x) => {
      const ranges = [rows > 1 ? block.rows : null, null, queries > 1 ? block.queries : null, block.keys];
      const begin = x.shape.map((size, axis) => (size === 1 ? 0 : (ranges[axis]?.from ?? 0)));
      const end = x.shape.map((size, axis) => (size === 1 ? 1 : (ranges[axis]?.to ?? size)));
      const size = end.map((to, axis) => to - begin[axis]!);
      return size.every((length, axis) => length === x.shape[axis])
        ? x
        : this.#keep(tf.slice(x, begin, size));
    });
    this.#parts.set(key, parts);
    return parts;
  }

  /** Of the parts of a block, `(rows or 1, 1, queries or 1, keys)` bool. */
  seen(parts: tf.Tensor[], after: tf.Tensor[]): tf.Tensor {
    return this.#sight.seen(parts, after);
  }
}

/** Which sequence a position of packed rows belongs to, `(rows · T)` int32 each. */
export interface PackedPositions {
  /** The number of its sequence within its row; 0 is padding. */
  segments: tf.Tensor;
  /** The number of the sequence that is its own one's beginning; −1 for none. Absent: nothing is shared. */
  parents?: tf.Tensor;
  /** Counted from the sequence's start. */
  positions: tf.Tensor;
}

const number = (x: tf.Tensor) => tf.cast(x, 'float32');
/** x `(rows · n)` as what queries are compared by, `(rows, 1, n, 1)`. */
const ofQueries = (x: tf.Tensor, rows: number) => tf.reshape(number(x), [rows, 1, -1, 1]);
/** x `(rows · T)` as what keys are compared by, `(rows, 1, 1, T)`. */
const ofKeys = (x: tf.Tensor, rows: number) => tf.reshape(number(x), [rows, 1, 1, -1]);
/** The positions 0… of keys, `(1, 1, 1, T)`. */
const counted = (keys: number) => tf.reshape(tf.range(0, keys, 1, 'float32'), [1, 1, 1, keys]);

type Comparison = 'Equal' | 'GreaterEqual' | 'Greater' | 'Less';
const compare = (op: Comparison, a: tf.Tensor, b: tf.Tensor, after: tf.Tensor[]) =>
  rawOp(op, [], [a, b], after)[0]!;

export interface PackedCausalOptions {
  /** Tokens that a token looks back on, itself included; null without a limit. */
  window?: number | null;
  /** Keys before those of every sequence, at the positions from 0 on, which `positions` count, too. */
  prefix?: number;
  keep?: (x: tf.Tensor) => tf.Tensor;
}

/**
 * The mask of packed rows: a token sees the keys of its own segment, and of the one that is its beginning, that are not later than
 * itself and fewer than `window` positions ago, and of a prefix those that the window reaches. Padding sees only padding, and that.
 * Keys are the prefix, then the row's own. A beginning must lie before what shares it.
 */
export function packedCausalMask(
  { segments, parents, positions }: PackedPositions,
  rows: number,
  { window = null, prefix = 0, keep }: PackedCausalOptions = {},
): Mask {
  const tokens = segments.shape[0]! / rows;
  const sight: Sight = {
    grid: { rows, queries: tokens, keys: prefix + tokens },
    compared() {
      const [keySegments, keyPositions] = [ofKeys(segments, rows), ofKeys(positions, rows)];
      const position = ofQueries(positions, rows);
      return [
        ofQueries(segments, rows),
        position,
        ...(prefix === 0
          ? [keySegments, keyPositions]
          : [
              before(tf.zeros([1, 1, 1, prefix]), keySegments),
              before(counted(prefix), keyPositions),
              // A prefix belongs to every sequence: a segment of its own would have to be compared with all.
              tf.cast(tf.concat([tf.ones([1, 1, 1, prefix]), tf.zeros([1, 1, 1, tokens])], 3), 'bool'),
            ]),
        ...(parents ? [ofQueries(parents, rows)] : []),
        ...(window === null ? [] : [tf.sub(position, window)]),
      ];
    },
    seen([segment, position, keySegments, keyPositions, ...others], after) {
      const everybodys = prefix === 0 ? undefined : others.shift()!;
      const parent = parents && others.shift()!;
      const tooLongAgo = window === null ? undefined : others.shift()!;
      const own = compare('Equal', segment!, keySegments!, after);
      const shared = parent ? tf.logicalOr(own, compare('Equal', parent, keySegments!, after)) : own;
      const same = everybodys ? tf.logicalOr(shared, everybodys) : shared;
      const notLater = tf.logicalAnd(same, compare('GreaterEqual', position!, keyPositions!, after));
      if (!tooLongAgo) return notLater;
      return tf.logicalAnd(notLater, compare('Less', tooLongAgo, keyPositions!, after));
    },
    reach({ from, to }) {
      const before = window === null || parents || prefix > 0 ? 0 : from - window + 1;
      return { from: Math.max(0, before), to: prefix + to };
    },
  };
  return new Mask(sight, keep);
}

/** `first` `(1, 1, 1, n)` before every row of `x` `(rows, 1, 1, T)`. */
function before(first: tf.Tensor, x: tf.Tensor): tf.Tensor {
  return tf.concat([tf.mul(first, tf.ones([x.shape[0]!, 1, 1, 1])), x], 3);
}

export interface PackedOptions {
  /** Keys before those of every sequence, which all see. */
  prefix?: number;
  keep?: (x: tf.Tensor) => tf.Tensor;
}

/**
 * The mask of an encoder's own tokens, or of a decoder's over an encoder packed alike: a token sees every key of its own segment.
 * segments `(rows · n)` and keySegments `(rows · T)` int32.
 */
export function packedMask(
  segments: tf.Tensor,
  keySegments: tf.Tensor,
  rows: number,
  { prefix = 0, keep }: PackedOptions = {},
): Mask {
  const [queries, keys] = [segments.shape[0]! / rows, keySegments.shape[0]! / rows];
  const sight: Sight = {
    grid: { rows, queries, keys: prefix + keys },
    compared() {
      const [own, others] = [ofQueries(segments, rows), ofKeys(keySegments, rows)];
      if (prefix === 0) return [own, others];
      const everybodys = tf.concat([tf.ones([1, 1, 1, prefix]), tf.zeros([1, 1, 1, keys])], 3);
      return [own, before(tf.zeros([1, 1, 1, prefix]), others), tf.cast(everybodys, 'bool')];
    },
    seen([own, others, everybodys], after) {
      const same = compare('Equal', own!, others!, after);
      return everybodys ? tf.logicalOr(same, everybodys) : same;
    },
  };
  return new Mask(sight, keep);
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
    compared() {
      const own = ofQueries(positions, rows);
      return [own, counted(length), ...(window === null ? [] : [tf.sub(own, window)])];
    },
    seen([own, keys, tooLongAgo], after) {
      const notLater = compare('GreaterEqual', own!, keys!, after);
      return tooLongAgo ? tf.logicalAnd(notLater, compare('Less', tooLongAgo, keys!, after)) : notLater;
    },
  });
}

/** The mask of inputs of which the first `lengths` `(rows)` int32 of `tokens` are there; the rest is padding. */
export function lengthsMask(lengths: tf.Tensor, tokens: number): Mask {
  const rows = lengths.shape[0]!;
  return new Mask({
    grid: { rows, queries: 1, keys: tokens },
    compared: () => [counted(tokens), ofQueries(lengths, rows)],
    seen: ([keys, length], after) => compare('Less', keys!, length!, after),
  });
}

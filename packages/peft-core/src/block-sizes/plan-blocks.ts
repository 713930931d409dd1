import { length, type Range } from './range.ts';

export interface ScoreShape {
  rows: number;
  kvHeads: number;
  /** Number of query heads that share one key head. */
  group: number;
  queries: number;
  keys: number;
}

/** A range of queries, the keys that these queries see, and the key heads of each block. */
export interface Chunk {
  queries: Range;
  keys: Range;
  heads: Range[];
}

/** The blocks of one attention: for each range of rows the chunks, and in each chunk the blocks, one after the other. */
export interface BlockPlan {
  rows: Range[];
  chunks: Chunk[];
}

/** With 8 chunks causal attention computes 9/16 of all scores; the minimum is 1/2. */
const CAUSAL_CHUNKS = 8;
/** Minimum number of queries of a chunk: smaller chunks would save less than their kernel launches cost. */
const SMALLEST_CHUNK = 512;
/** Chunk sizes are a multiple of this, because matrix products are fastest then. */
const CHUNK_MULTIPLE = 64;

/**
 * Divides the scores into blocks of at most `budget` bytes in float32. Returns null if one block is enough. `visibleKeys`: as in
 * `Visibility`. `skewed`: the bias of a block is built from a matrix that is wider than the scores by the number of queries.
 */
export function planBlocks(
  { rows, kvHeads, group, queries, keys }: ScoreShape,
  budget: number,
  {
    visibleKeys,
    skewed = false,
  }: { visibleKeys?: ((queries: Range) => Range) | undefined; skewed?: boolean } = {},
): BlockPlan | null {
  /** Bytes of one row and one key head. */
  const bytes = (n: number, m: number) => 4 * group * n * (m + (skewed ? n : 0));
  if (rows * kvHeads * bytes(queries, keys) <= budget) return null;
  let most = queries;
  while (most > 1 && bytes(most, keys) > budget) most = Math.ceil(most / 2);
  const wanted = visibleKeys ? Math.max(SMALLEST_CHUNK, Math.ceil(queries / CAUSAL_CHUNKS)) : queries;
  const size = Math.min(most, Math.ceil(wanted / CHUNK_MULTIPLE) * CHUNK_MULTIPLE);
  const whole = { from: 0, to: keys };
  const spans = parts(queries, size).map((span) => ({ queries: span, keys: visibleKeys?.(span) ?? whole }));
  const bytesOf = (span: { queries: Range; keys: Range }) => bytes(length(span.queries), length(span.keys));
  const perRow = kvHeads * Math.max(...spans.map(bytesOf));
  const rowsAtOnce = Math.max(1, Math.floor(budget / perRow));
  const chunks = spans.map((span) => {
    const headsAtOnce = Math.max(1, Math.floor(budget / (Math.min(rows, rowsAtOnce) * bytesOf(span))));
    return { ...span, heads: alike(kvHeads, headsAtOnce) };
  });
  return { rows: alike(rows, rowsAtOnce), chunks };
}

/** Divides `count` into pieces of `size`; the last piece may be shorter. */
const parts = (count: number, size: number): Range[] =>
  Array.from({ length: Math.ceil(count / size) }, (_, i) => ({
    from: i * size,
    to: Math.min(count, (i + 1) * size),
  }));

/** Divides `count` into as few pieces of at most `size` as possible. Their lengths differ by at most one. */
function alike(count: number, size: number): Range[] {
  const pieces = Math.ceil(count / size);
  const bound = (i: number) => Math.floor((i * count) / pieces);
  return Array.from({ length: pieces }, (_, i) => ({ from: bound(i), to: bound(i + 1) }));
}

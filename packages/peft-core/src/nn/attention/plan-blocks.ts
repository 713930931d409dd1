import { length } from './cut.ts';
import type { Range } from './masks.ts';

/** The scores of one attention. */
export interface ScoreShape {
  rows: number;
  /** Heads of keys. */
  kvHeads: number;
  /** Heads of queries that share one of them. */
  group: number;
  queries: number;
  keys: number;
}

/** A range of queries, the keys that they see, and the heads of keys of each block. */
export interface Chunk {
  queries: Range;
  keys: Range;
  heads: Range[];
}

/** Each range of rows is computed chunk by chunk, and each chunk block by block. */
export interface BlockPlan {
  rows: Range[];
  chunks: Chunk[];
}

/** In so many chunks causal attention computes 9/16 of all scores, where 1/2 would be the least. */
const CAUSAL_CHUNKS = 8;
/** Smaller chunks would save less than their launches cost. */
const SMALLEST_CHUNK = 512;
/** Products are quickest in sizes that are a multiple of this. */
const CHUNK_MULTIPLE = 64;

/**
 * How scores are computed in blocks of at most `budget` bytes in float32; null where one block is enough. `visibleKeys`: as
 * in `Visibility`. `skewed`: the bias of a block is made of a matrix that is wider than the scores by the number of queries.
 */
export function planBlocks(
  { rows, kvHeads, group, queries, keys }: ScoreShape,
  budget: number,
  {
    visibleKeys,
    skewed = false,
  }: { visibleKeys?: ((queries: Range) => Range) | undefined; skewed?: boolean } = {},
): BlockPlan | null {
  /** Of one row and one head of keys. */
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

/** Pieces of `size`, but for the last. */
const parts = (count: number, size: number): Range[] =>
  Array.from({ length: Math.ceil(count / size) }, (_, i) => ({
    from: i * size,
    to: Math.min(count, (i + 1) * size),
  }));

/** As few pieces of at most `size` as it takes, as long as each other but for one. */
function alike(count: number, size: number): Range[] {
  const pieces = Math.ceil(count / size);
  const bound = (i: number) => Math.floor((i * count) / pieces);
  return Array.from({ length: pieces }, (_, i) => ({ from: bound(i), to: bound(i + 1) }));
}

// How much layers compute at a time on each device. Loads no TensorFlow: estimates use it too.

export type Target = 'cpu' | 'gpu';

/** A GPU has more memory than a processor has cache, and each kernel launch has a cost. */
const SCORE_BYTES: Record<Target, number> = { cpu: 64 * 2 ** 20, gpu: 256 * 2 ** 20 };
/** Scores may take the memory of this number of copies of the queries, so that longer rows have larger blocks instead of more of them. */
const QUERY_COPIES = 2;

/** Maximum number of bytes of the scores of one block in float32, for queries with this number of elements. */
export const scoreBudget = (target: Target, queries: number): number =>
  Math.max(SCORE_BYTES[target], QUERY_COPIES * 4 * queries);

/** Rows of logits per chunk on a processor: with 49,152 tokens 256 rows take 50 MB. */
const HEAD_ROWS = 256;
/** Bytes of logits per chunk on a GPU: large products are fast, and each kernel launch has a cost. */
const GPU_HEAD_BYTES = 160 << 20;

/** Rows of logits `(…, vocabulary)` per chunk. */
export function headRows(target: Target, vocabulary: number): number {
  if (target === 'cpu') return HEAD_ROWS;
  const rows = Math.floor(GPU_HEAD_BYTES / (4 * vocabulary * HEAD_ROWS)) * HEAD_ROWS;
  return Math.max(rows, HEAD_ROWS);
}

// How many scores of attention on stock operations are there at once: nn/attention/plan-blocks.ts without TensorFlow.
import type { Machine } from './estimate.ts';

/** The scores of one attention. */
export interface Scores {
  rows: number;
  kvHeads: number;
  /** Heads of queries that share one of keys. */
  group: number;
  queries: number;
  keys: number;
  /** No query sees a later key. */
  causal: boolean;
}

const FLOAT = 4;
/** Bytes of one block's scores at most, and copies of the queries that these may take if that is more; nn/computation.ts. */
const SCORE_BYTES = { cpu: 64 * 2 ** 20, gpu: 256 * 2 ** 20 };
const QUERY_COPIES = 2;
/** nn/attention/plan-blocks.ts. */
const CAUSAL_CHUNKS = 8;
const SMALLEST_CHUNK = 512;
const CHUNK_MULTIPLE = 64;

/** Bytes in float32 of the largest block; `numbers`: of the queries. */
export function scoreBlock(
  { rows, kvHeads, group, queries, keys, causal }: Scores,
  numbers: number,
  device: Machine['device'],
): { inBlocks: boolean; bytes: number } {
  const most = Math.max(SCORE_BYTES[device], QUERY_COPIES * FLOAT * numbers);
  const bytes = (n: number, seen: number) => FLOAT * group * n * seen;
  const whole = rows * kvHeads * bytes(queries, keys);
  if (whole <= most) return { inBlocks: false, bytes: whole };
  let size = queries;
  while (size > 1 && bytes(size, keys) > most) size = Math.ceil(size / 2);
  const wanted = causal ? Math.max(SMALLEST_CHUNK, Math.ceil(queries / CAUSAL_CHUNKS)) : queries;
  const chunk = Math.min(size, Math.ceil(wanted / CHUNK_MULTIPLE) * CHUNK_MULTIPLE);
  const rowsAtOnce = alike(rows, most / (kvHeads * bytes(chunk, keys)));
  let largest = 0;
  // Of the chunks of queries that see all keys before them.
  for (let seen = causal ? Math.min(chunk, keys) : keys; ; seen = Math.min(keys, seen + chunk)) {
    const one = rowsAtOnce * bytes(chunk, seen);
    largest = Math.max(largest, one * alike(kvHeads, most / one));
    if (seen >= keys) return { inBlocks: true, bytes: largest };
  }
}

/** The longest of as few pieces of at most `size` as it takes. */
function alike(count: number, size: number): number {
  return Math.ceil(count / Math.ceil(count / Math.max(1, Math.floor(size))));
}

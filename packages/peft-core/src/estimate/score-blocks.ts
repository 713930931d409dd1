// Size of the attention scores that stock operations store at once: nn/attention/plan-blocks.ts without TensorFlow.
import type { Machine } from './estimate.ts';

/** Dimensions of the scores of one attention. */
export interface Scores {
  rows: number;
  kvHeads: number;
  /** Number of query heads that share a key head. */
  group: number;
  queries: number;
  keys: number;
  /** No query attends to a later key. */
  causal: boolean;
}

const FLOAT = 4;
/** Maximum bytes of one block's scores, or this many copies of the queries if that is more; nn/computation.ts. */
const SCORE_BYTES = { cpu: 64 * 2 ** 20, gpu: 256 * 2 ** 20 };
const QUERY_COPIES = 2;
/** As in nn/attention/plan-blocks.ts. */
const CAUSAL_CHUNKS = 8;
const SMALLEST_CHUNK = 512;
const CHUNK_MULTIPLE = 64;

/** Size of the largest block in float32; `numbers`: number of elements in the queries. */
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
  // Each chunk of queries attends to the keys up to its end.
  for (let seen = causal ? Math.min(chunk, keys) : keys; ; seen = Math.min(keys, seen + chunk)) {
    const one = rowsAtOnce * bytes(chunk, seen);
    largest = Math.max(largest, one * alike(kvHeads, most / one));
    if (seen >= keys) return { inBlocks: true, bytes: largest };
  }
}

/** The largest piece if `count` is split evenly into the fewest pieces of at most `size`. */
function alike(count: number, size: number): number {
  return Math.ceil(count / Math.ceil(count / Math.max(1, Math.floor(size))));
}

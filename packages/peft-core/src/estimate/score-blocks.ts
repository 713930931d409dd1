import { scoreBudget } from '../block-sizes/limits.ts';
import { planBlocks, type ScoreShape } from '../block-sizes/plan-blocks.ts';
import { length } from '../block-sizes/range.ts';
import type { Machine } from './estimate.ts';

export interface Scores extends ScoreShape {
  /** No query attends to a later key. */
  causal: boolean;
}

/** Size of the largest block of scores that stock operations store at once, in float32; `numbers`: number of elements in the queries. */
export function scoreBlock(
  { causal, ...shape }: Scores,
  numbers: number,
  device: Machine['device'],
): { inBlocks: boolean; bytes: number } {
  const { rows, kvHeads, group, queries, keys } = shape;
  const visibleKeys = ({ to }: { to: number }) => ({ from: 0, to: Math.min(keys, to) });
  const plan = planBlocks(shape, scoreBudget(device, numbers), causal ? { visibleKeys } : {});
  if (!plan) return { inBlocks: false, bytes: 4 * rows * kvHeads * group * queries * keys };
  const largest = plan.chunks.map((chunk) => {
    const heads = Math.max(...chunk.heads.map(length));
    return heads * length(chunk.queries) * length(chunk.keys);
  });
  return { inBlocks: true, bytes: 4 * group * Math.max(...plan.rows.map(length)) * Math.max(...largest) };
}

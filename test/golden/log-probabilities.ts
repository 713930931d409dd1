import { scoreTexts } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';

/** Graft's log-probabilities of each sequence's tokens after the first, by a base or PEFT model. */
export async function logProbabilities(
  model: string,
  adapterDir: string | null,
  inputs: number[][],
): Promise<number[][]> {
  const base = await openBaseModel(model);
  try {
    const rows: number[][] = [];
    const input = inputs.map((ids) => ({ input_ids: ids }));
    for await (const score of scoreTexts({ base, adapterDir, input })) {
      if ('logprobs' in score) rows.push(score.logprobs);
    }
    return rows;
  } finally {
    await base.close();
  }
}

/** The largest absolute difference between two lists of sequences of the same lengths. */
export function largestDifference(a: number[][], b: number[][]): number {
  const lengths = (rows: number[][]) => rows.map((row) => row.length).join();
  if (lengths(a) !== lengths(b)) throw new Error(`lengths differ: ${lengths(a)} and ${lengths(b)}`);
  let largest = 0;
  for (const [i, row] of a.entries()) {
    for (const [j, value] of row.entries()) {
      const difference = Math.abs(value - b[i]![j]!);
      if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
      largest = Math.max(largest, difference);
    }
  }
  return largest;
}

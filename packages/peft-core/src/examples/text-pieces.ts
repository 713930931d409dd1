import type { LabelledTokens } from './labelled-tokens.ts';
import { NO_TARGET, type Sequence } from './training-example.ts';

/**
 * A text of `end` tokens, in pieces of at most `most`. Each begins with the last `overlap` tokens of the one before it, which it
 * sees and does not learn, so that every token but the first is learnt once. `overlap`: at least 1 and less than `most`.
 */
export function textPieces(
  { ids, labelled }: LabelledTokens,
  end: number,
  { most, overlap }: { most: number; overlap: number },
): { sequence: Sequence; tokens: number }[] {
  const pieces: { sequence: Sequence; tokens: number }[] = [];
  let learnt = 1;
  for (let from = 0; learnt < end; from = learnt - overlap) {
    const to = Math.min(from + most, end);
    const targets = ids
      .slice(from + 1, to)
      .map((id, t) => (from + 1 + t >= learnt && labelled[from + 1 + t] === 1 ? id : NO_TARGET));
    pieces.push({ sequence: { ids: ids.slice(from, to - 1), targets }, tokens: to - from });
    learnt = to;
  }
  return pieces;
}

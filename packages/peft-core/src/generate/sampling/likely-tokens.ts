import type { Tokenizer } from '../../text/index.ts';

export interface TokenLikelihood {
  token: string;
  /** Natural logarithm of its probability at temperature 1. */
  logprob: number;
}

/** A chosen token, and the most probable tokens at its position. */
export interface LikelyTokens extends TokenLikelihood {
  top: TokenLikelihood[];
}

/** Log-probabilities from logits `(V)`, with the `count` most probable tokens, ties by id. Sums in double precision. */
export function likelyTokens(
  logits: Float32Array,
  taken: number,
  count: number,
  tokenizer: Tokenizer,
): LikelyTokens {
  let peak = -Infinity;
  for (const logit of logits) if (logit > peak) peak = logit;
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - peak);
  const logSum = peak + Math.log(total);
  const of = (id: number) => ({ token: tokenizer.decode([id]), logprob: logits[id]! - logSum });
  return { ...of(taken), top: largest(logits, count).map(of) };
}

/** Indices of the `count` largest values, in order; ties by index. */
function largest(values: Float32Array, count: number): number[] {
  const found: number[] = [];
  if (count === 0) return found;
  for (let i = 0; i < values.length; i++) {
    if (found.length === count && !(values[i]! > values[found[count - 1]!]!)) continue;
    let at = found.length;
    while (at > 0 && values[i]! > values[found[at - 1]!]!) at--;
    found.splice(at, 0, i);
    if (found.length > count) found.pop();
  }
  return found;
}

import { GraftError } from '../errors.ts';

/** How the next token is chosen. */
export interface SamplingOptions {
  /** 0 takes the most probable token. */
  temperature: number;
  /** Share of the probability that is kept, most probable tokens first; 1 keeps all. */
  topP: number;
}

/**
 * Picks a token from logits `(V)`; `uniform` is a number in [0, 1). Softmax and sums in double precision.
 * Throws `non_finite_logits` where one of them is NaN or infinite: no probabilities follow from them.
 * Top-p as in Holtzman et al. 2020, arXiv:1904.09751: the token that crosses the mass is kept.
 */
export function sampleToken(
  logits: Float32Array,
  { temperature, topP }: SamplingOptions,
  uniform: number,
): number {
  const best = argMax(logits);
  if (temperature === 0) return best;
  const peak = logits[best]!;
  const weights = new Float64Array(logits.length);
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += weights[i] = Math.exp((logits[i]! - peak) / temperature);
  if (topP >= 1) return walk(weights, (_, i) => i, total * uniform);

  // Tokens below a millionth of the best one hardly add to the mass; without them the sort is short.
  const candidates: number[] = [];
  for (let i = 0; i < weights.length; i++) if (weights[i]! > 1e-6) candidates.push(i);
  candidates.sort((a, b) => weights[b]! - weights[a]! || a - b);
  let kept = 0;
  let mass = 0;
  while (kept < candidates.length && mass < topP * total) mass += weights[candidates[kept++]!]!;
  const nucleus = candidates.slice(0, Math.max(1, kept));
  return walk(
    nucleus.map((i) => weights[i]!),
    (_, i) => nucleus[i]!,
    mass * uniform,
  );
}

function walk(
  weights: ArrayLike<number>,
  tokenAt: (weight: number, index: number) => number,
  target: number,
): number {
  let sum = 0;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    sum += weights[i]!;
    if (sum > target) break;
  }
  return tokenAt(weights[last]!, last);
}

/** Index of the largest logit, of equal ones the first. */
function argMax(logits: Float32Array): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) {
    if (!Number.isFinite(logits[i])) throw new GraftError('non_finite_logits', 'the logits are not finite');
    if (logits[i]! > logits[best]!) best = i;
  }
  return best;
}

import { GraftError } from '../../errors.ts';

/** How the next token is chosen. All but the first two change nothing by default. */
export interface SamplingOptions {
  /** 0 takes the most probable token. */
  temperature: number;
  /** Share of the probability that is kept, most probable tokens first; 1 keeps all. */
  topP: number;
  /** How many of the most probable tokens are kept, with those that are as probable as the last; 0 keeps all. */
  topK?: number;
  /** Tokens of less than this share of the most probable one's probability are left out; 0 leaves out none. */
  minP?: number;
  /** What is there already is less probable by this: above 0, 1 changes nothing. */
  repetitionPenalty?: number;
}

/**
 * Logits `(V)` in which tokens that are in `ids` are less probable, for a penalty above 1: their logits are divided by it, negative ones
 * multiplied (Keskar et al. 2019, arXiv:1909.05858). As transformers' RepetitionPenaltyLogitsProcessor, in float32. Ids that are none of
 * the vocabulary, as those of virtual tokens, are passed over. The given logits are not changed.
 */
export function penalised(logits: Float32Array, ids: readonly number[], penalty: number): Float32Array {
  if (penalty === 1) return logits;
  const by = Math.fround(penalty);
  const changed = logits.slice();
  for (const id of ids) {
    const logit = logits[id];
    if (logit !== undefined) changed[id] = logit < 0 ? logit * by : logit / by;
  }
  return changed;
}

/**
 * Picks a token from logits `(V)`; `uniform` is a number in [0, 1). Softmax and sums in double precision.
 * Throws `non_finite_logits` where one of them is NaN or infinite: no probabilities follow from them.
 */
export function sampleToken(logits: Float32Array, options: SamplingOptions, uniform: number): number {
  const best = argMax(logits);
  if (options.temperature === 0) return best;
  const { weights, tokens, mass } = keptTokens(logits, best, options);
  const at = walk(weights, mass * uniform);
  return tokens ? tokens[at]! : at;
}

/** Probabilities `(V)` from which `sampleToken` picks, at a temperature above 0; 0 of tokens that are left out. */
export function probabilities(logits: Float32Array, options: SamplingOptions): Float64Array {
  const { weights, tokens, mass } = keptTokens(logits, argMax(logits), options);
  const all = new Float64Array(logits.length);
  for (let i = 0; i < weights.length; i++) all[tokens ? tokens[i]! : i] = weights[i]! / mass;
  return all;
}

interface Kept {
  /** In proportion to probabilities. */
  weights: ArrayLike<number>;
  /** Whose they are; null: of all tokens in order. */
  tokens: readonly number[] | null;
  /** Their sum. */
  mass: number;
}

/**
 * What is kept, in the order in which transformers' generate applies its processors: temperature, top-k, top-p (Holtzman et al. 2020,
 * arXiv:1904.09751: the token that crosses the mass is kept), min-p (Nguyen et al. 2024, arXiv:2407.01082).
 */
function keptTokens(
  logits: Float32Array,
  best: number,
  { temperature, topP, topK = 0, minP = 0 }: SamplingOptions,
): Kept {
  const peak = logits[best]!;
  const least = topK > 0 && topK < logits.length ? kthLargest(logits, topK) : -Infinity;
  // The most probable token's weight is 1.
  const lightest = topP >= 1 ? minP : 0;
  const weights = new Float64Array(logits.length);
  let total = 0;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i]! < least) continue;
    const weight = Math.exp((logits[i]! - peak) / temperature);
    if (weight >= lightest) total += weights[i] = weight;
  }
  if (topP >= 1) return { weights, tokens: null, mass: total };

  // Tokens below a millionth of the best one hardly add to the mass; without them the sort is short.
  const candidates: number[] = [];
  for (let i = 0; i < weights.length; i++) if (weights[i]! > 1e-6) candidates.push(i);
  candidates.sort((a, b) => weights[b]! - weights[a]! || a - b);
  const tokens: number[] = [];
  let mass = 0;
  for (const token of candidates) {
    const weight = weights[token]!;
    if (tokens.length > 0 && (mass >= topP * total || weight < minP)) break;
    mass += weight;
    tokens.push(token);
  }
  return { weights: tokens.map((token) => weights[token]!), tokens, mass };
}

/** Index of the weight in which the sum of those before it and its own crosses `target`. */
function walk(weights: ArrayLike<number>, target: number): number {
  let sum = 0;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    sum += weights[i]!;
    if (sum > target) break;
  }
  return last;
}

/** The `k`-th largest of more than `k` numbers, by a heap of the largest so far whose first is the least of them. */
function kthLargest(values: Float32Array, k: number): number {
  const heap = values.slice(0, k).sort();
  for (let i = k; i < values.length; i++) {
    const value = values[i]!;
    if (!(value > heap[0]!)) continue;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= k) break;
      if (child + 1 < k && heap[child + 1]! < heap[child]!) child++;
      if (!(heap[child]! < value)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = value;
  }
  return heap[0]!;
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

import { GraftError } from '../../errors.ts';

/** How the next token is chosen. All fields but the first two have no effect by default. */
export interface SamplingOptions {
  /** 0 chooses the most probable token. */
  temperature: number;
  /** Share of the probability mass that is kept, most probable tokens first; 1 keeps all. */
  topP: number;
  /** Number of the most probable tokens that are kept; ties with the last are kept, too. 0 keeps all. */
  topK?: number;
  /** Tokens with less than this share of the most probable token's probability are excluded; 0 excludes none. */
  minP?: number;
  /** Makes tokens that already occur less probable; above 0, and 1 changes nothing. */
  repetitionPenalty?: number;
}

/**
 * Logits `(V)` in which tokens of `ids` are less probable, for a penalty above 1: positive logits are divided by it, negative ones
 * multiplied (Keskar et al. 2019, arXiv:1909.05858). Same as transformers' RepetitionPenaltyLogitsProcessor, in float32. Ids outside
 * the vocabulary, such as those of virtual tokens, are skipped. Does not modify its argument.
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
 * Samples a token from logits `(V)`; `uniform` is a number in [0, 1). Softmax and sums are in double precision.
 * Throws `non_finite_logits` if a logit is NaN or infinite, since there are no probabilities then.
 */
export function sampleToken(logits: Float32Array, options: SamplingOptions, uniform: number): number {
  const best = argMax(logits);
  if (options.temperature === 0) return best;
  const { weights, tokens, mass } = keptTokens(logits, best, options);
  const at = walk(weights, mass * uniform);
  return tokens ? tokens[at]! : at;
}

/** Probabilities `(V)` from which `sampleToken` samples, at a temperature above 0; 0 for excluded tokens. */
export function probabilities(logits: Float32Array, options: SamplingOptions): Float64Array {
  const { weights, tokens, mass } = keptTokens(logits, argMax(logits), options);
  const all = new Float64Array(logits.length);
  for (let i = 0; i < weights.length; i++) all[tokens ? tokens[i]! : i] = weights[i]! / mass;
  return all;
}

interface Kept {
  /** Proportional to probabilities. */
  weights: ArrayLike<number>;
  /** The tokens of the weights; null: all tokens in order. */
  tokens: readonly number[] | null;
  /** Sum of the weights. */
  mass: number;
}

/**
 * The kept tokens, with filters in the order of transformers' generate: temperature, top-k, top-p (Holtzman et al. 2020,
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

/** Index of the weight at which the cumulative sum exceeds `target`. */
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

/** The `k`-th largest of more than `k` numbers, found with a min-heap of the `k` largest so far. */
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

/** Index of the largest logit; ties by index. */
function argMax(logits: Float32Array): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) {
    if (!Number.isFinite(logits[i])) throw new GraftError('non_finite_logits', 'the logits are not finite');
    if (logits[i]! > logits[best]!) best = i;
  }
  return best;
}

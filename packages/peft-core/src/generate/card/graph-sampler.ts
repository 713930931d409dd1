// Sampling in the graph, so that a step only returns ids: the draws of sampling/sampling.ts, in double precision.
import { attr, cast, rawOp, tf } from '@graft/tf-graph';
import type { SamplingOptions } from '../sampling/sampling.ts';

export interface TokenAsk extends Required<SamplingOptions> {
  /** Random number in [0, 1). */
  uniform: number;
  /** The sequence's ids; those that are not tokens are skipped. */
  ids: readonly number[];
  /** Number of the most probable tokens to return with log-probabilities; null: none, not even that of the chosen token. */
  logprobs: number | null;
  /** Added to the logits `(V)` before a token is chosen; default nothing. */
  added?: Float32Array | null;
}

/** Natural logarithms of probabilities at temperature 1. */
export interface ChosenLikelihood {
  logprob: number;
  top: { id: number; logprob: number }[];
}

/** A chosen token; null if the logits are not finite. */
export interface Chosen {
  token: number | null;
  likely: ChosenLikelihood | null;
}

/**
 * Sampling that a function must support. `greedy`: every temperature is 0. `whole`: only min_p excludes tokens. `filtered`: top_k or
 * top_p may, too.
 */
export type SamplingMode = 'greedy' | 'whole' | 'filtered';

/** Number of tokens that are sorted by probability. If a draw needs more to be exact, the function returns WIDE. */
export const CANDIDATES = 256;
export const NOT_FINITE = -1;
export const WIDE = -2;

/**
 * Inputs of `chosenTokens` for `rows` sequences, with `seen` ids each if there is a repetition penalty, and `adjusted` numbers to add to
 * logits: 0 or the size of the vocabulary.
 */
export const samplerInputs = (rows: number, mode: SamplingMode, seen: number, adjusted = 0) => ({
  numbers: mode === 'greedy' ? undefined : ({ shape: [rows, 4, 3], dtype: 'float32' } as const),
  topK: mode === 'filtered' ? ({ shape: [rows], dtype: 'int32' } as const) : undefined,
  penalties: seen > 0 ? ({ shape: [rows], dtype: 'float32' } as const) : undefined,
  seen: seen > 0 ? ({ shape: [rows, seen], dtype: 'int32' } as const) : undefined,
  added: adjusted > 0 ? ({ shape: [rows, adjusted], dtype: 'float32' } as const) : undefined,
});

export function samplerFeeds(
  asks: readonly TokenAsk[],
  rows: number,
  mode: SamplingMode,
  seen: number,
  adjusted = 0,
) {
  const numbers = new Float32Array(rows * 12);
  const topK = new Int32Array(rows);
  const penalties = new Float32Array(rows).fill(1);
  const ids = new Int32Array(rows * seen);
  const added = new Float32Array(rows * adjusted);
  for (const [row, ask] of asks.entries()) {
    const own = [ask.temperature, ask.topP, ask.minP, ask.uniform].flatMap(parts);
    numbers.set(own, row * 12);
    topK[row] = ask.topK;
    if (ask.added) added.set(ask.added, row * adjusted);
    const known = ask.repetitionPenalty === 1 ? [] : ask.ids.filter((id) => id >= 0);
    if (seen === 0 || known.length === 0) continue;
    penalties[row] = ask.repetitionPenalty;
    // Unused entries repeat an id that is already listed.
    ids.fill(known[0]!, row * seen, (row + 1) * seen);
    ids.set(known, row * seen);
  }
  return {
    numbers: mode === 'greedy' ? undefined : numbers,
    topK: mode === 'filtered' ? topK : undefined,
    penalties: seen > 0 ? penalties : undefined,
    seen: seen > 0 ? ids : undefined,
    added: adjusted > 0 ? added : undefined,
  };
}

/** Three float32 numbers whose sum is x. */
function parts(x: number): number[] {
  const high = Math.fround(x);
  const middle = Math.fround(x - high);
  return [high, middle, x - high - middle];
}

export const modeOf = (asks: readonly TokenAsk[], vocabulary: number): SamplingMode => {
  if (asks.every(({ temperature }) => temperature === 0)) return 'greedy';
  const cuts = ({ temperature, topP, topK }: TokenAsk) =>
    temperature > 0 && (topP < 1 || (topK > 0 && topK < vocabulary));
  return asks.some(cuts) ? 'filtered' : 'whole';
};

interface Given {
  numbers?: tf.Tensor | undefined;
  topK?: tf.Tensor | undefined;
  penalties?: tf.Tensor | undefined;
  seen?: tf.Tensor | undefined;
  added?: tf.Tensor | undefined;
}

/**
 * Chooses a token `(S)` for each row of logits `(S, V)` float32: NOT_FINITE, or WIDE if more than `candidates` tokens had to be sorted.
 * If `likely` is not null, also returns the log-probability of the token, and the `likely` most probable ids with theirs.
 */
export function chosenTokens(
  logits: tf.Tensor,
  given: Given,
  { mode, candidates, likely }: { mode: SamplingMode; candidates: number; likely: number | null },
): { tokens: tf.Tensor; logprobs?: tf.Tensor; topIds?: tf.Tensor; topLogprobs?: tf.Tensor } {
  const unbiased = given.seen ? penalised(logits, given.seen, given.penalties!) : logits;
  const scores = given.added ? tf.add(unbiased, given.added) : unbiased;
  const isSound = over('All', op('IsFinite', [scores]));
  const best = firstLargest(scores);
  const chosen = mode === 'greedy' ? best : sampled(scores, best, given, { mode, candidates });
  const tokens = select(isSound, chosen, tf.scalar(NOT_FINITE));
  const ids = { tokens: cast(tokens, 'int32') };
  if (likely === null) return ids;
  const wide = double(logits);
  const peak = over('Max', wide, true);
  const logSum = tf.add(peak, tf.log(over('Sum', tf.exp(tf.sub(wide, peak)), true)));
  const own = gatherEach(wide, tf.expandDims(cast(tf.relu(tokens), 'int64'), -1));
  const logprobs = tf.reshape(tf.sub(own, logSum), [-1]);
  if (likely === 0) return { ...ids, logprobs };
  const [top, topIds] = topOf(logits, Math.min(likely, logits.shape[1]!));
  return { ...ids, logprobs, topIds, topLogprobs: tf.sub(double(top), logSum) };
}

/** Ids `(S)`, as float32, by each row's draw. */
function sampled(
  scores: tf.Tensor,
  best: tf.Tensor,
  { numbers, topK }: Given,
  { mode, candidates }: { mode: SamplingMode; candidates: number },
): tf.Tensor {
  const vocabulary = scores.shape[1]!;
  const most = Math.min(candidates, vocabulary);
  const [temperature, topP, minP, uniform] = tf.split(over('Sum', double(numbers!)), 4, 1) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ]; // (S, 1) each
  const isGreedy = tf.equal(temperature, 0);
  const heat = select(isGreedy, tf.scalar(1), temperature);
  const peak = over('Max', double(scores), true);
  const weightsOf = (x: tf.Tensor) => tf.exp(tf.div(tf.sub(double(x), peak), heat));
  const nothing = tf.scalar(0);
  const keptOf = (x: tf.Tensor, kept: tf.Tensor) => select(kept, x, nothing);
  const isCut = tf.less(topP, 1);

  /** Index `(S, 1)`, as float32, at which the cumulative weights exceed the draw. */
  const walk = (weights: tf.Tensor, last: tf.Tensor) => {
    const sums = cumulative(weights);
    const target = tf.mul(over('Max', sums, true), uniform);
    return tf.maximum(tf.minimum(countOf(tf.lessEqual(sums, target)), last), 0);
  };

  const all = weightsOf(scores); // (S, V)
  const lightest = select(isCut, nothing, minP);
  if (mode === 'whole') {
    const token = walk(keptOf(all, tf.greaterEqual(all, lightest)), tf.scalar(vocabulary - 1));
    return tf.reshape(select(isGreedy, tf.expandDims(best, -1), token), [-1]);
  }

  const [top, ids] = topOf(scores, most); // (S, K)
  const k = tf.expandDims(cast(topK!, 'float32'), -1);
  const places = tf.range(0, most, 1, 'float32');
  const cutsK = tf.logicalAnd(tf.greater(k, 0), tf.less(k, vocabulary));
  const kth = over('Min', select(tf.less(places, k), top, tf.scalar(Infinity)), true);
  const least = select(cutsK, kth, tf.scalar(-Infinity)); // (S, 1)
  const isLeft = keptOf(all, tf.greaterEqual(scores, least));
  const inOrder = walk(keptOf(isLeft, tf.greaterEqual(isLeft, lightest)), tf.scalar(vocabulary - 1));

  // Tokens below a millionth of the best one are not candidates, as in sampling.ts.
  const weights = weightsOf(top);
  const possible = tf.logicalAnd(tf.greaterEqual(top, least), tf.greater(weights, 1e-6));
  const heavy = keptOf(weights, possible);
  const total = tf.mul(over('Sum', isLeft, true), topP);
  const before = cumulative(heavy, true);
  const isNext = tf.logicalAnd(tf.less(before, total), tf.greaterEqual(weights, minP));
  const kept = tf.logicalAnd(possible, tf.logicalOr(tf.less(places, 1), isNext));
  const count = countOf(kept);
  const place = walk(keptOf(weights, kept), tf.sub(count, 1));
  const byShare = cast(gatherEach(ids, cast(place, 'int64')), 'float32');

  const token = select(isCut, byShare, inOrder);
  if (most === vocabulary) return tf.reshape(select(isGreedy, tf.expandDims(best, -1), token), [-1]);
  // More tokens might be kept than were sorted.
  const isShort = tf.logicalAnd(tf.equal(count, most), tf.less(over('Sum', heavy, true), total));
  const isWide = tf.logicalOr(tf.logicalAnd(isCut, isShort), tf.logicalAnd(cutsK, tf.greater(k, most)));
  const drawn = select(isWide, tf.scalar(WIDE), token);
  return tf.reshape(select(isGreedy, tf.expandDims(best, -1), drawn), [-1]);
}

/** Index `(S)`, as float32, of each row's first maximum; the width if the row contains NaN. */
function firstLargest(scores: tf.Tensor): tf.Tensor {
  const width = scores.shape[1]!;
  const isLargest = tf.equal(scores, over('Max', scores, true));
  return over('Min', select(isLargest, tf.range(0, width, 1, 'float32'), tf.scalar(width)));
}

/** As in sampling.ts: ids `(S, W)` may repeat; a penalty `(S)` of 1 changes nothing. */
function penalised(logits: tf.Tensor, seen: tf.Tensor, penalties: tf.Tensor): tf.Tensor {
  const [rows, vocabulary] = logits.shape as [number, number];
  const ids = cast(seen, 'int64');
  const own = gatherEach(logits, ids);
  const by = tf.expandDims(penalties, -1);
  const changed = select(tf.less(own, 0), tf.mul(own, by), tf.div(own, by));
  const starts = tf.tensor2d(
    Array.from({ length: rows }, (_, row) => row * vocabulary),
    [rows, 1],
    'int32',
  );
  const places = tf.reshape(op('AddV2', [ids, starts]), [-1, 1]);
  const flat = op('TensorScatterUpdate', [tf.reshape(logits, [-1]), places, tf.reshape(changed, [-1])]);
  return tf.reshape(flat, [rows, vocabulary]);
}

const op = (name: string, inputs: tf.Tensor[], attrs: Parameters<typeof rawOp>[1] = []): tf.Tensor =>
  rawOp(name, attrs, inputs)[0]!;
const double = (x: tf.Tensor): tf.Tensor => cast(x, 'float64');
const select = (condition: tf.Tensor, yes: tf.Tensor, no: tf.Tensor): tf.Tensor =>
  op('SelectV2', [condition, yes, no]);
const over = (name: 'All' | 'Max' | 'Min' | 'Sum', x: tf.Tensor, keeps = false): tf.Tensor =>
  op(name, [x, tf.scalar(-1, 'int32')], [attr.bool('keep_dims', keeps)]);
const countOf = (x: tf.Tensor): tf.Tensor => over('Sum', cast(x, 'float32'), true);
const cumulative = (x: tf.Tensor, exclusive = false): tf.Tensor =>
  op('Cumsum', [x, tf.scalar(-1, 'int32')], [attr.bool('exclusive', exclusive), attr.bool('reverse', false)]);
const topOf = (x: tf.Tensor, count: number): [tf.Tensor, tf.Tensor] =>
  rawOp('TopKV2', [attr.bool('sorted', true)], [x, tf.scalar(count, 'int32')]) as [tf.Tensor, tf.Tensor];
/** The elements of x `(S, V)` at the ids `(S, n)` of each row. */
const gatherEach = (x: tf.Tensor, ids: tf.Tensor): tf.Tensor =>
  op('GatherV2', [x, ids, tf.scalar(1, 'int32')], [attr.int('batch_dims', 1)]);

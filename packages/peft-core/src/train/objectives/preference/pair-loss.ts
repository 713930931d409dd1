/**
 * Common part of the losses on preference pairs: inputs of a batch, log-probabilities of its completions, sums for metrics. An objective
 * adds a formula, `PairFormula`.
 */
import { tf } from '@graft/tf-graph';
import { headLosses, lossesOfLogits, oneHot, type TokenLosses } from '../../../nn/cross-entropy.ts';
import type { Forward, Loss, LossOptions, ObjectiveLoss } from '../objective-loss.ts';

/**
 * `label_scales` `(K)`: factor of each label in the mean negative log-likelihood. `label_pairs`, `label_sides` `(K)`: see `FilledPairs`.
 * `pair_scales` `(P)`: weight of each pair in the total. `pair_references` `(2P)`, `pair_desirable` `(P)`: see `FilledPairs`.
 */
export type PairInputs<T> = Record<
  | 'label_positions'
  | 'label_ids'
  | 'label_scales'
  | 'label_pairs'
  | 'label_sides'
  | 'pair_scales'
  | 'pair_references'
  | 'pair_desirable',
  T
>;

/** One completion of each pair, `(P)`. */
export interface Completions {
  /** Sum of its tokens' log-probabilities under the model that is trained. */
  logps: tf.Tensor;
  /** The same under the reference model; 0 without one. */
  reference: tf.Tensor;
  /** Number of its tokens, at least 1. */
  tokens: tf.Tensor;
}

/** Pairs of a batch; unused entries have a scale of 0 and no tokens. */
export interface Pairs {
  chosen: Completions;
  rejected: Completions;
  /** 1 for a pair, 0 for an unused entry. */
  used: tf.Tensor;
  /** 1 if the first completion is desirable. */
  desirable: tf.Tensor;
  /** Mean negative log-likelihood of the tokens that `label_scales` counts, times the batch's share of all pairs. A scalar. */
  nll: tf.Tensor;
}

export interface PairOutcome {
  /** `(P)`: loss of each pair. */
  losses: tf.Tensor;
  /** Added to the mean of the losses; absent: 0. A scalar. */
  more?: tf.Tensor;
  /** `(P)`: what the model is rewarded for by each completion, without gradient. */
  rewards: { chosen: tf.Tensor; rejected: tf.Tensor };
  /** For metrics, `(P)`: log-probabilities of the completions; absent: sums over their tokens. */
  logps?: { chosen: tf.Tensor; rejected: tf.Tensor };
  /** For metrics: further values `(P)`, summed over the pairs. */
  sums?: Record<string, tf.Tensor>;
}

export type PairFormula = (pairs: Pairs, options: LossOptions) => PairOutcome;

export const preferenceOf = <T>({ preference }: LossOptions): T => preference as T;

/** The loss of an objective on pairs: the mean of a formula. */
export const pairLoss = (formula: PairFormula): ObjectiveLoss<keyof PairInputs<unknown>> => ({
  options: ['preference'],
  inputs: ({ labels, pairs = 0 }) => ({
    label_positions: { shape: [labels], dtype: 'int32' },
    label_ids: { shape: [labels], dtype: 'int32' },
    label_scales: { shape: [labels], dtype: 'float32' },
    label_pairs: { shape: [labels], dtype: 'int32' },
    label_sides: { shape: [labels], dtype: 'float32' },
    pair_scales: { shape: [pairs], dtype: 'float32' },
    pair_references: { shape: [2 * pairs], dtype: 'float32' },
    pair_desirable: { shape: [pairs], dtype: 'float32' },
  }),
  feeds: ({ labelPositions, labelIds, pairs }, _, weight) => ({
    label_positions: labelPositions,
    label_ids: labelIds,
    label_pairs: pairs!.labelPairs,
    label_sides: pairs!.labelSides,
    pair_scales: pairs!.weights.map((own) => own / weight),
    pair_references: pairs!.references,
    pair_desirable: pairs!.desirable,
  }),
  wanted: () => [],
  loss: (forward, inputs) => {
    const losses = tokenLosses(forward, inputs);
    const pairs = pairsOf(losses, inputs);
    const outcome = formula(pairs, forward.options);
    const { losses: own, more, rewards, sums = {} } = outcome;
    const mean = tf.sum(tf.mul(own, inputs.pair_scales));
    const { used, chosen, rejected } = pairs;
    const { logps = { chosen: chosen.logps, rejected: rejected.logps } } = outcome;
    const counted = (values: tf.Tensor) => tf.sum(tf.mul(values, used));
    const isRight = tf.cast(tf.greater(rewards.chosen, rewards.rejected), 'float32');
    const isChosen = tf.cast(tf.greater(inputs.label_sides, 0), 'float32');
    const all: Record<string, tf.Tensor> = {
      rewards_chosen: counted(rewards.chosen),
      rewards_rejected: counted(rewards.rejected),
      logps_chosen: counted(logps.chosen),
      logps_rejected: counted(logps.rejected),
      chosen_tokens: tf.sum(isChosen),
      chosen_hits: tf.sum(tf.mul(losses.correct, isChosen)),
    };
    for (const [name, values] of Object.entries(sums)) all[name] = counted(values);
    return { total: more ? tf.add(mean, more) : mean, correct: counted(isRight), sums: all } satisfies Loss;
  },
  logps: (forward, inputs) => {
    const { chosen, rejected } = pairsOf(tokenLosses(forward, inputs), inputs);
    return tf.concat([chosen.logps, rejected.logps], 0);
  },
});

function tokenLosses(
  { model, parameters, training, runtime, hidden }: Forward,
  { label_ids: labels }: Pick<PairInputs<tf.Tensor>, 'label_ids'>,
): TokenLosses {
  const { architecture } = model;
  const labelled = architecture.finalNorm(runtime, hidden);
  const head = model.languageHead(parameters);
  if (!head) return lossesOfLogits(architecture.logits!(runtime, labelled), labels);
  return headLosses(labelled, head, labels, training !== null);
}

function pairsOf({ losses }: TokenLosses, inputs: PairInputs<tf.Tensor>): Pairs {
  const { label_sides: sides, pair_scales: scales, pair_references: references } = inputs;
  const count = scales.shape[0]!;
  const owners = oneHot(inputs.label_pairs, count); // (K, P)
  const sumsOf = (mask: tf.Tensor, values: tf.Tensor) =>
    tf.sum(tf.mul(owners, tf.expandDims(tf.mul(mask, values), -1)), 0); // (P)
  const used = tf.cast(tf.greater(scales, 0), 'float32');
  const completions = (side: number, first: number): Completions => {
    const mask = tf.relu(tf.mul(sides, side));
    return {
      logps: tf.neg(sumsOf(mask, losses)),
      reference: tf.slice(references, [first], [count]),
      tokens: tf.maximum(sumsOf(mask, tf.ones(losses.shape)), 1),
    };
  };
  return {
    chosen: completions(1, 0),
    rejected: completions(-1, count),
    used,
    desirable: inputs.pair_desirable,
    nll: tf.sum(tf.mul(losses, inputs.label_scales)),
  };
}

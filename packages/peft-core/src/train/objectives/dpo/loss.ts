/**
 * Direct preference optimisation and its relatives with a reference model. c and r: log-probability of the chosen and of the rejected
 * completion, each less that of the reference; Δ = c − r.
 * Source: Rafailov et al. 2023, arXiv:2305.18290; trl, trainer/dpo_trainer.py (_compute_loss).
 */
import { tf } from '@graft/tf-graph';
import { type DpoLossName, type DpoOptions, lossesOf } from '../../../objectives/dpo/options.ts';
import { logSigmoid } from '../preference/log-sigmoid.ts';
import { type Pairs, pairLoss, preferenceOf } from '../preference/pair-loss.ts';

interface Ratios {
  /** c and r, `(P)`. */
  chosen: tf.Tensor;
  rejected: tf.Tensor;
  /** The same, each divided by the number of tokens. */
  chosenMean: tf.Tensor;
  rejectedMean: tf.Tensor;
}

/** Loss of each pair, `(P)`. `sft` is the same for all: the mean over the tokens of the chosen completions. */
const formulas: Readonly<
  Record<Exclude<DpoLossName, 'sft'>, (ratios: Ratios, options: DpoOptions) => tf.Tensor>
> = {
  sigmoid: ({ chosen, rejected }, { beta }) => tf.neg(logSigmoid(tf.mul(tf.sub(chosen, rejected), beta))),
  hinge: ({ chosen, rejected }, { beta }) => tf.relu(tf.sub(1, tf.mul(tf.sub(chosen, rejected), beta))),
  /** Azar et al. 2023, arXiv:2310.12036, with means over tokens. */
  ipo: ({ chosenMean, rejectedMean }, { beta }) =>
    tf.square(tf.sub(tf.sub(chosenMean, rejectedMean), 1 / (2 * beta))),
  /** Chowdhury et al. 2024, arXiv:2403.00409. */
  robust: ({ chosen, rejected }, { beta, label_smoothing: epsilon = 0 }) => {
    const scaled = tf.mul(tf.sub(chosen, rejected), beta);
    const clean = tf.mul(logSigmoid(scaled), 1 - epsilon);
    const flipped = tf.mul(logSigmoid(tf.neg(scaled)), epsilon);
    return tf.div(tf.sub(flipped, clean), 1 - 2 * epsilon);
  },
  sigmoid_norm: ({ chosenMean, rejectedMean }, { beta }) =>
    tf.neg(logSigmoid(tf.mul(tf.sub(chosenMean, rejectedMean), beta))),
};

export const dpoLoss = pairLoss(({ chosen, rejected, nll }: Pairs, given) => {
  const options = preferenceOf<DpoOptions>(given);
  const { beta, loss_type, loss_weights: weights } = options;
  const types = lossesOf(loss_type);
  const ratios = {
    chosen: tf.sub(chosen.logps, chosen.reference),
    rejected: tf.sub(rejected.logps, rejected.reference),
  };
  const all = {
    ...ratios,
    chosenMean: tf.div(ratios.chosen, chosen.tokens),
    rejectedMean: tf.div(ratios.rejected, rejected.tokens),
  };
  let losses: tf.Tensor = tf.zeros(chosen.logps.shape);
  let more: tf.Tensor | undefined;
  for (const [i, type] of types.entries()) {
    const weight = weights?.[i] ?? 1;
    if (type === 'sft') more = tf.mul(nll, weight);
    else losses = tf.add(losses, tf.mul(formulas[type](all, options), weight));
  }
  return {
    losses,
    ...(more ? { more } : {}),
    rewards: { chosen: tf.mul(ratios.chosen, beta), rejected: tf.mul(ratios.rejected, beta) },
  };
});

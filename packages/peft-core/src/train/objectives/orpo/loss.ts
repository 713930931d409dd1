/**
 * Odds-ratio preference optimisation: the likelihood of prompt and chosen completion, and the odds of the chosen completion against
 * those of the rejected one. No reference model.
 * Source: Hong et al. 2024, arXiv:2403.07691; trl, experimental/orpo (odds_ratio_loss).
 */
import { tf } from '@graft/tf-graph';
import type { OrpoOptions } from '../../../objectives/orpo/options.ts';
import { log1mexp, logSigmoid } from '../preference/log-sigmoid.ts';
import { pairLoss, preferenceOf } from '../preference/pair-loss.ts';

export const orpoLoss = pairLoss(({ chosen, rejected, used, nll }, given) => {
  const { beta } = preferenceOf<OrpoOptions>(given);
  /** Mean log-probability; that of an unused entry is any number below 0. */
  const mean = ({ logps, tokens }: typeof chosen) => tf.sub(tf.div(logps, tokens), tf.sub(1, used));
  const [of, against] = [mean(chosen), mean(rejected)];
  const logOdds = tf.sub(tf.sub(of, against), tf.sub(log1mexp(of), log1mexp(against)));
  const ratio = logSigmoid(logOdds);
  return {
    losses: tf.mul(ratio, -beta),
    more: nll,
    rewards: { chosen: tf.mul(of, beta), rejected: tf.mul(against, beta) },
    logps: { chosen: of, rejected: against },
    sums: { log_odds_ratio: ratio, log_odds_chosen: logOdds },
  };
});

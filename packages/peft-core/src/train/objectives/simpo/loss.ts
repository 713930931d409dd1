/**
 * Simple preference optimisation: mean log-probabilities per token, with a margin. No reference model.
 * Source: Meng et al. 2024, arXiv:2405.14734; trl, experimental/cpo (cpo_loss with loss_type "simpo").
 */
import { tf } from '@graft/tf-graph';
import type { SimpoOptions } from '../../../objectives/simpo/options.ts';
import { logSigmoid } from '../preference/log-sigmoid.ts';
import { pairLoss, preferenceOf } from '../preference/pair-loss.ts';

export const simpoLoss = pairLoss(({ chosen, rejected, nll }, given) => {
  const { beta, simpo_gamma: gamma, cpo_alpha: alpha } = preferenceOf<SimpoOptions>(given);
  const mean = ({ logps, tokens }: typeof chosen) => tf.div(logps, tokens);
  const logps = { chosen: mean(chosen), rejected: mean(rejected) };
  const rewards = { chosen: tf.mul(logps.chosen, beta), rejected: tf.mul(logps.rejected, beta) };
  const losses = tf.neg(logSigmoid(tf.sub(tf.sub(rewards.chosen, rewards.rejected), gamma)));
  return { losses, ...(alpha > 0 ? { more: tf.mul(nll, alpha) } : {}), rewards, logps };
});

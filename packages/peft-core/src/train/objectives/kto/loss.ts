/**
 * Kahneman-Tversky optimisation: completions that are each judged desirable or not. The second completion of a pair answers another
 * prompt of its batch; the mean of their log-ratios estimates the divergence from the reference model.
 * Source: Ethayarajh et al. 2024, arXiv:2402.01306; trl, trainer/kto_trainer.py (_compute_loss).
 */
import { tf } from '@graft/tf-graph';
import type { KtoOptions } from '../../../objectives/kto/options.ts';
import { detached } from '../preference/log-sigmoid.ts';
import { pairLoss, preferenceOf } from '../preference/pair-loss.ts';

export const ktoLoss = pairLoss(({ chosen: judged, rejected: other, used, desirable }, given) => {
  const { beta, desirable_weight: up, undesirable_weight: down } = preferenceOf<KtoOptions>(given);
  const ratio = tf.sub(judged.logps, judged.reference);
  const apart = tf.mul(tf.sub(other.logps, other.reference), used);
  const kl = detached(tf.relu(tf.div(tf.sum(apart), tf.maximum(tf.sum(used), 1)))); // scalar
  const undesirable = tf.sub(1, desirable);
  const above = tf.mul(tf.sub(ratio, kl), beta);
  const sign = tf.sub(tf.mul(desirable, 2), 1);
  const weights = tf.add(tf.mul(desirable, up), tf.mul(undesirable, down));
  const losses = tf.mul(weights, tf.sub(1, tf.sigmoid(tf.mul(above, sign))));
  const reward = tf.mul(ratio, beta);
  return {
    losses,
    rewards: { chosen: tf.mul(reward, desirable), rejected: tf.mul(reward, undesirable) },
    sums: {
      desirable,
      kl: tf.mul(kl, used),
      logps_desirable: tf.mul(judged.logps, desirable),
      logps_undesirable: tf.mul(judged.logps, undesirable),
    },
  };
});

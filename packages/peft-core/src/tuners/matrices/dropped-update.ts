import { tf } from '@graft/tf-graph';
import { dropoutMask, nextSeed } from '../../nn/dropout.ts';
import { scaledColumns } from '../../nn/scaled-columns.ts';
import type { LayerContext } from '../tuner.ts';
import type { UpdateOptions } from './config.ts';

/**
 * An update `(N, out)` with its outputs dropped with probability rank_dropout, all rows alike, and as a whole with module_dropout. `scaled`:
 * what is left is divided by its share. Nothing is dropped outside of training.
 * Source: peft, get_delta_weight and forward of the two layers.
 */
export function droppedUpdate(
  { random }: LayerContext,
  update: tf.Tensor,
  { rank_dropout: ofOutputs, module_dropout: ofAll }: Pick<UpdateOptions, 'rank_dropout' | 'module_dropout'>,
  scaled: boolean,
): tf.Tensor {
  if (!random || (ofOutputs === 0 && ofAll === 0)) return update;
  const kept = (count: number, probability: number) =>
    tf.mul(dropoutMask([count], probability, nextSeed(random), update), 1 - probability); // 0 or 1
  let mask: tf.Tensor = tf.ones([update.shape[1]!]);
  if (ofOutputs > 0) {
    mask = kept(update.shape[1]!, ofOutputs);
    // If all are dropped there is nothing to divide.
    if (scaled) mask = tf.div(mask, tf.maximum(tf.mean(mask), 1 / update.shape[1]!));
  }
  if (ofAll > 0) mask = tf.mul(mask, kept(1, ofAll));
  return scaledColumns(update, mask);
}

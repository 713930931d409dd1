import { tf, type Variable } from '@graft/tf-graph';
import { attention, cachedCausalMask } from '../nn/attention.ts';
import type { RuntimeOptions } from '../peft-model.ts';

/** One layer's variables `(kvHeads, context, D)` each. */
export interface LayerCache {
  keys: Variable;
  values: Variable;
}

/**
 * Attention of `stride` new tokens from `start` (scalar int32) on over the cache's first `length` positions, after writing
 * them to it. A method's prefix is in the cache, before the sequence's own tokens.
 */
export function cachedAttention(
  cache: LayerCache[],
  start: tf.Tensor,
  stride: number,
  length: number,
): RuntimeOptions['attend'] {
  const zero = tf.zeros([1], 'int32');
  const begin = tf.concat([zero, tf.reshape(start, [1]), zero], 0);
  const append = (variable: Variable, fresh: tf.Tensor) => {
    const [heads, , width] = variable.shape as [number, number, number];
    const whole = variable.assignSlice(begin, tf.reshape(fresh, [heads, stride, width]));
    return tf.reshape(tf.slice(whole, [0, 0, 0], [heads, length, width]), [1, heads, length, width]);
  };
  const masks = new Map<number | null, tf.Tensor>();
  const maskFor = (window: number | null): tf.Tensor => {
    const mask = masks.get(window) ?? cachedCausalMask(start, stride, length, window);
    masks.set(window, mask);
    return mask;
  };
  return ({ layer, window = null, bias }, q, k, v) => {
    const [keys, values] = [append(cache[layer]!.keys, k), append(cache[layer]!.values, v)];
    return attention(q, keys, values, maskFor(window), { bias });
  };
}

import { tf, type Variable } from '@graft/tf-graph';
import { attention, cachedCausalMask, prefixMask } from '../nn/attention.ts';
import { before } from '../packed-attention.ts';
import type { RuntimeOptions } from '../peft-model.ts';

/** One layer's variables `(kvHeads, context, D)` each. */
export interface LayerCache {
  keys: Variable;
  values: Variable;
}

/**
 * Attention of `stride` new tokens from `start` (scalar int32) on over the cache's first `length` positions, after writing
 * them to it. A method's prefix is not in the cache: it stands before it.
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
  const masks = new Map<string, tf.Tensor>();
  const maskFor = (window: number | null, prefix: number): tf.Tensor => {
    const key = `${window}+${prefix}`;
    const known = masks.get(key);
    if (known) return known;
    const own = cachedCausalMask(start, stride, length, window);
    const positions = tf.add(tf.range(prefix, prefix + stride, 1, 'int32'), start);
    const mask = prefix === 0 ? own : tf.concat([prefixMask(positions, 1, prefix, window), own], -1);
    masks.set(key, mask);
    return mask;
  };
  return ({ layer, window = null, bias }, q, k, v, prefix) => {
    const [keys, values] = [append(cache[layer]!.keys, k), append(cache[layer]!.values, v)];
    const mask = maskFor(window, prefix?.keys.shape[1] ?? 0);
    if (!prefix) return attention(q, keys, values, mask, { bias });
    return attention(q, before(keys, prefix.keys), before(values, prefix.values), mask, { bias });
  };
}

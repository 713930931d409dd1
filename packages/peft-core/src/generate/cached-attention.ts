import { tf, type Variable } from '@graft/tf-graph';
import { attention, cachedCausalMask, lengthMask } from '../nn/attention/attention.ts';
import { RotaryTables, sideBySide } from '../nn/attention/heads.ts';
import type { RuntimeOptions } from '../peft-model/peft-model.ts';

/** One layer's variables `(kvHeads, context, D)` each. */
export interface LayerCache {
  keys: Variable;
  values: Variable;
}

/** The part of the memory that a decoder reads: the first `length` (scalar int32) of `tokens` positions. */
export interface InputWindow {
  length: tf.Tensor;
  tokens: number;
}

/**
 * Attention of `stride` new tokens, at positions `start` (scalar int32) and after. Their keys and values are written to the cache;
 * then they attend to its first `length` positions. An encoder-decoder's cross attention reads the memory. A method's prefix is in
 * the cache, before the sequence's own tokens.
 */
export function cachedAttention(
  cache: LayerCache[],
  start: tf.Tensor,
  stride: number,
  length: number,
  input: InputWindow | null = null,
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
  const inputMask = input ? lengthMask(input.length, input.tokens) : null;
  const tables = new RotaryTables();
  return (site, projections) => {
    const { kind, layer, window = null, bias } = site;
    const { q, k, v } = tables.byHead(projections, site, 1);
    if (kind === 'cross') return sideBySide(attention(q, k, v, inputMask!, { bias }));
    const [keys, values] = [append(cache[layer]!.keys, k), append(cache[layer]!.values, v)];
    return sideBySide(attention(q, keys, values, maskFor(window), { bias }));
  };
}

import { tf } from '@graft/tf-graph';
import { relativeBias } from './relative-positions.ts';

/** A term of attention scores, added before the softmax. It has a gradient. */
export interface ScoreBias {
  /** The bias of the first keys, `(B or 1, heads, n, P)`; of all keys if `relative` is absent. */
  first?: tf.Tensor | undefined;
  /** The bias of the later keys, which are at the queries' own positions: a table as in `AttentionSite.relative`. */
  relative?: tf.Tensor | undefined;
  /** The bias of all keys, `(B or 1, heads, n, T)`. */
  whole(): tf.Tensor;
}

/** Combines the bias `first` with the table's for the later keys. `keep`: called with the result, which several layers use. */
export function scoreBias(
  first: tf.Tensor | undefined,
  relative: tf.Tensor | undefined,
  tokens: number,
  keep: (x: tf.Tensor) => tf.Tensor = (x) => x,
): ScoreBias | undefined {
  if (!first && !relative) return undefined;
  const together = (relative: tf.Tensor) => {
    const own = relativeBias(relative, tokens);
    return first ? tf.concat([first, tf.mul(own, tf.ones([first.shape[0]!, 1, 1, 1]))], 3) : own;
  };
  let made = relative ? undefined : first;
  const whole = () => {
    made ??= keep(together(relative!));
    return made;
  };
  return { first, relative, whole };
}

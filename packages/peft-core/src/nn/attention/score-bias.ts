import { tf } from '@graft/tf-graph';
import { relativeBias } from './relative-positions.ts';

/** What is added to the scores of an attention before the softmax. It has a gradient. */
export interface ScoreBias {
  /** Of the first keys, `(B or 1, heads, n, P)`; of all where there is no table. */
  first?: tf.Tensor | undefined;
  /** Of the keys after those, which are at the queries' own positions: a table as `AttentionSite.relative`. */
  relative?: tf.Tensor | undefined;
  /** All of it, `(B or 1, heads, n, T)`. */
  whole(): tf.Tensor;
}

/** The bias `first`, and after it the table's. `keep`: called for what is made once and used by several layers. */
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

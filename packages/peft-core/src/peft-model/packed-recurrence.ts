import { tf } from '@graft/tf-graph';
import type { RecurrentSite } from '../models/architecture.ts';
import { exactly, flowing, usesKernels } from '../nn/computation.ts';
import {
  causalConvolution,
  convolvesByKernel,
  nearbyPositions,
} from '../nn/delta-rule/causal-convolution.ts';
import { type DeltaInputs, deltaRule } from '../nn/delta-rule/delta-rule.ts';
import { segmentChunks } from '../nn/delta-rule/segment-chunks.ts';
import { stateSpace } from '../nn/state-space/state-space.ts';
import type { Recurrence, RecurrentRule } from '../outlines/outline.ts';
import type { PackedGrid } from './packed-attention.ts';
import type { PreparedInputs, RuntimeOptions } from './peft-model.ts';

/**
 * The recurrent layers of packed sequences, for `PeftModel.runtime`: each sequence starts from a state of zeros, so that batches are
 * planned without shared prefixes. Which positions belong
 * together is computed once for all layers, and kept in `constants`, if given, until the caller disposes them.
 */
export function packedRecurrence(
  { reach, rule, bias }: Recurrence,
  { rows, segments }: PackedGrid,
  constants?: tf.Tensor[],
): NonNullable<RuntimeOptions['recur']> {
  const kept = <T extends tf.Tensor>(x: T): T => {
    constants?.push(tf.keep(x));
    return x;
  };
  const nearby = nearbyPositions(segments, rows, reach, convolvesByKernel(bias.convolution));
  const chunks = segmentChunks(segments, rows, recursByKernel(rule));
  for (const mask of nearby.masks ?? []) kept(mask);
  for (const mask of Object.values(chunks.masks ?? {})) kept(mask);
  const recur = rule === 'delta' ? deltaRule : stateSpace;
  return (site, { mixed, convolution, decay, rate, skip }) => {
    const parts = separated(causalConvolution(mixed, convolution, nearby, rows), site);
    return withSkip(recur({ ...parts, decay, rate }, site, chunks), parts.v, skip);
  };
}

/** Checks whether a kernel computes a rule: there is none of state spaces. */
export const recursByKernel = (rule: RecurrentRule): boolean => usesKernels() && rule === 'delta';

/** Queries, keys and values from the matrix `(N, mixedWidth)` that holds them side by side: in this order, or values, keys and queries. */
export function separated(
  mixed: PreparedInputs['mixed'],
  { rule, keyHeads, valueHeads, keySize, valueSize }: RecurrentSite,
): Pick<DeltaInputs, 'q' | 'k' | 'v'> {
  const [keys, values] = [keyHeads * keySize, valueHeads * valueSize];
  if (rule === 'delta') {
    const [q, k, v] = tf.split(mixed, [keys, keys, values], 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
    return { q, k, v };
  }
  const [v, k, q] = tf.split(mixed, [values, keys, keys], 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return { q, k, v };
}

/** Adds to y `(N, heads · size)` the values v of the same shape, times each head's factor `(heads)`. */
export function withSkip(y: tf.Tensor, v: tf.Tensor, factors: tf.Tensor | null): tf.Tensor {
  if (!factors) return y;
  const [heads, width] = [factors.shape[0]!, v.shape[1]!];
  const spread = tf.reshape(tf.mul(tf.reshape(factors, [heads, 1]), tf.ones([1, width / heads])), [1, width]);
  return flowing(tf.add(exactly(y), tf.mul(exactly(v), spread)));
}

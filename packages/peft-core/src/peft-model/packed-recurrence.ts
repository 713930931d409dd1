import { tf } from '@graft/tf-graph';
import { causalConvolution, nearbyPositions } from '../nn/delta-rule/causal-convolution.ts';
import { type DeltaHeads, type DeltaInputs, deltaRule } from '../nn/delta-rule/delta-rule.ts';
import { segmentChunks } from '../nn/delta-rule/segment-chunks.ts';
import type { Recurrence } from '../outlines/outline.ts';
import type { PackedGrid } from './packed-attention.ts';
import type { PreparedInputs, RuntimeOptions } from './peft-model.ts';

/**
 * The recurrent layers of packed sequences, for `PeftModel.runtime`: each sequence starts from a state of zeros, so that batches are
 * planned without shared prefixes. Which positions belong
 * together is computed once for all layers, and kept in `constants`, if given, until the caller disposes them.
 */
export function packedRecurrence(
  { reach }: Recurrence,
  { rows, segments }: PackedGrid,
  constants?: tf.Tensor[],
): NonNullable<RuntimeOptions['recur']> {
  const kept = <T extends tf.Tensor>(x: T): T => {
    constants?.push(tf.keep(x));
    return x;
  };
  const nearby = nearbyPositions(segments, rows, reach);
  const chunks = segmentChunks(segments, rows);
  for (const mask of nearby.masks) kept(mask);
  for (const mask of Object.values(chunks.masks ?? {})) kept(mask);
  return (site, { mixed, convolution, decay, rate }) => {
    const { weight, isTrained } = convolution;
    const convolved = causalConvolution(mixed, weight, nearby, rows, isTrained);
    return deltaRule({ ...separated(convolved, site), decay, rate }, site, chunks);
  };
}

/** Queries, keys and values from the matrix `(N, mixedWidth)` that holds them side by side. */
export function separated(
  mixed: PreparedInputs['mixed'],
  { keyHeads, valueHeads, keySize, valueSize }: DeltaHeads,
): Pick<DeltaInputs, 'q' | 'k' | 'v'> {
  const widths = [keyHeads * keySize, keyHeads * keySize, valueHeads * valueSize];
  const [q, k, v] = tf.split(mixed, widths, 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return { q, k, v };
}

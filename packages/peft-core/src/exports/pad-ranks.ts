import type { HostTensor } from '../tensors/tensor-source.ts';
import type { LowRankForm, LowRankPart } from '../tuners/method.ts';
import { modeOf } from './mode.ts';

export interface PaddedUpdates {
  /** Of all updates. */
  scale: number;
  /** Number of updates whose B was multiplied, because their scale was another. */
  rescaled: number;
  tensors: Map<string, HostTensor>;
}

/**
 * An adapter's tensors with one rank for all updates, which is at least that of each: A `(rank, width)` with rows of zeros, B `(out, rank)` with
 * columns of zeros. The scale is that of most updates; B of the others is multiplied by the quotient. Without updates of experts.
 */
export function padRanks(
  { updates, factors }: LowRankForm,
  tensors: ReadonlyMap<string, HostTensor>,
  rank: number,
): PaddedUpdates {
  const scale = modeOf(updates.map((update) => update.scale))!;
  const own = factors?.(tensors) ?? tensors;
  const padded = new Map(tensors);
  for (const update of updates) {
    const factor = update.scale / scale;
    padded.set(update.a, withRows(own.get(update.a)!, update, rank));
    padded.set(update.b, withColumns(own.get(update.b)!, update, rank, factor));
    const biasKey = update.b.replace(/weight$/, 'bias');
    const bias = tensors.get(biasKey);
    if (bias && biasKey !== update.b)
      padded.set(biasKey, { ...bias, data: bias.data.map((value) => value * factor) });
  }
  const rescaled = updates.filter((update) => update.scale !== scale).length;
  return { scale, rescaled, tensors: padded };
}

function withRows({ data }: HostTensor, { width }: LowRankPart, rank: number): HostTensor {
  const padded = new Float32Array(rank * width);
  padded.set(data);
  return { shape: [rank, width], data: padded };
}

function withColumns(
  { data }: HostTensor,
  { out, rank }: LowRankPart,
  to: number,
  factor: number,
): HostTensor {
  const padded = new Float32Array(out * to);
  for (let row = 0; row < out; row++)
    for (let k = 0; k < rank; k++) padded[row * to + k] = factor * data[row * rank + k]!;
  return { shape: [out, to], data: padded };
}

import type { HostTensor } from '../tensors/tensor-source.ts';
import type { LowRankForm, LowRankPart } from '../tuners/method.ts';
import { modeOf } from './mode.ts';

export interface PaddedUpdates {
  /** Of all updates. */
  scale: number;
  /** Number of updates whose B was multiplied, because their scale was another. */
  rescaled: number;
  tensors: Map<string, LazyTensor>;
}

/** Computed when it is read, so that no more than one is in memory. */
interface LazyTensor {
  shape: number[];
  data(): Promise<Float32Array>;
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
  const padded = new Map<string, LazyTensor>();
  for (const [key, { shape, data }] of tensors) padded.set(key, { shape, data: async () => data });
  for (const update of updates) {
    const { a, b, width, out } = update;
    const factor = update.scale / scale;
    padded.set(a, { shape: [rank, width], data: async () => withRows(own.get(a)!, update, rank) });
    padded.set(b, { shape: [out, rank], data: async () => withColumns(own.get(b)!, update, rank, factor) });
    const biasKey = b.replace(/weight$/, 'bias');
    const bias = tensors.get(biasKey);
    if (bias && biasKey !== b)
      padded.set(biasKey, { ...bias, data: async () => bias.data.map((value) => value * factor) });
  }
  const rescaled = updates.filter((update) => update.scale !== scale).length;
  return { scale, rescaled, tensors: padded };
}

function withRows({ data }: HostTensor, { width }: LowRankPart, rank: number): Float32Array {
  const padded = new Float32Array(rank * width);
  padded.set(data);
  return padded;
}

function withColumns(
  { data }: HostTensor,
  { out, rank }: LowRankPart,
  to: number,
  factor: number,
): Float32Array {
  const padded = new Float32Array(out * to);
  for (let row = 0; row < out; row++)
    for (let k = 0; k < rank; k++) padded[row * to + k] = factor * data[row * rank + k]!;
  return padded;
}

import type { HostTensor } from '../tensors/tensor-source.ts';
import type { LowRankForm, LowRankPart } from '../tuners/method.ts';
import { modeOf } from './mode.ts';

export interface PaddedUpdates {
  /** Common scale of all updates. */
  scale: number;
  /** Number of updates whose B was multiplied, because their scale was another. */
  rescaled: number;
  tensors: Map<string, LazyTensor>;
}

/** Read or computed when it is written, so that no more than one is in memory. */
export interface LazyTensor {
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
  const own = factors?.(tensors) ?? tensors;
  const lazy = new Map<string, LazyTensor>();
  for (const [key, { shape, data }] of tensors) lazy.set(key, { shape, data: async () => data });
  return padUpdates(updates, lazy, async (key) => own.get(key)!.data, rank);
}

/** `padRanks` of tensors that are read when they are written; `factor` reads an A or B by its key. */
export function padUpdates(
  updates: readonly LowRankPart[],
  tensors: ReadonlyMap<string, LazyTensor>,
  factor: (key: string) => Promise<Float32Array>,
  rank: number,
): PaddedUpdates {
  const scale = modeOf(updates.map((update) => update.scale))!;
  const padded = new Map(tensors);
  for (const update of updates) {
    const { a, b, width, out } = update;
    const ratio = update.scale / scale;
    padded.set(a, { shape: [rank, width], data: async () => withRows(await factor(a), update, rank) });
    padded.set(b, {
      shape: [out, rank],
      data: async () => withColumns(await factor(b), update, rank, ratio),
    });
    const biasKey = b.replace(/weight$/, 'bias');
    const bias = tensors.get(biasKey);
    if (bias && biasKey !== b)
      padded.set(biasKey, { ...bias, data: async () => (await bias.data()).map((value) => value * ratio) });
  }
  const rescaled = updates.filter((update) => update.scale !== scale).length;
  return { scale, rescaled, tensors: padded };
}

function withRows(data: Float32Array, { width }: LowRankPart, rank: number): Float32Array {
  const padded = new Float32Array(rank * width);
  padded.set(data);
  return padded;
}

function withColumns(
  data: Float32Array,
  { out, rank }: LowRankPart,
  to: number,
  factor: number,
): Float32Array {
  const padded = new Float32Array(out * to);
  for (let row = 0; row < out; row++)
    for (let k = 0; k < rank; k++) padded[row * to + k] = factor * data[row * rank + k]!;
  return padded;
}

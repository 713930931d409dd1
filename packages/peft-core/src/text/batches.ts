import { permutation } from '../rng.ts';
import { chooseGrid, type GridShape } from './choose-grid.ts';
import type { TokenizedExample } from './labels.ts';
import { oneRowEach, type Placement, packRows } from './pack.ts';

export interface BatchOptions {
  /** Tokens of each example. */
  lengths: ArrayLike<number>;
  /** Labelled tokens of each example. */
  labelCounts: ArrayLike<number>;
  batchSize: number;
  /** Micro-batches per optimizer step. */
  accumulation: number;
  /** Training epochs. */
  epochs: number;
  seed: number;
  packing: boolean;
  maxSteps: number | null;
}

/** Which examples are trained when, and where they lie in the grid: a pure function of its options, so resuming needs only the step. */
export interface BatchPlan {
  /** Optimizer steps; for an evaluation, batches. */
  steps: number;
  stepsPerEpoch: number;
  /** The same for every micro-batch. */
  shape: GridShape;
  /** Micro-batch `i` of `step`, both from 0. Empty when a training epoch's last step has no examples left for it. */
  micro(step: number, i: number): Placement[];
  /** Training epochs done after `step` (from 0), to two digits: 1.5 is the middle of the second. */
  epochAt(step: number): number;
  stats: BatchStats;
}

export interface BatchStats {
  /** Tokens of all examples over the whole plan. */
  tokens: number;
  /** Grid positions computed over the whole plan, empty micro-batches left out. */
  computedPositions: number;
  /** Share of computed positions that hold no token. */
  paddingFraction: number;
}

/** A micro-batch as the model takes it; grid arrays are row-major, rows × tokens. */
export interface FilledBatch {
  ids: Int32Array;
  /** Position within the example, from 0. */
  positions: Int32Array;
  /** 0 for padding, else the number, from 1, of the example within its row. */
  segments: Int32Array;
  /** Flat grid index of the position whose hidden state predicts the label. */
  labelPositions: Int32Array;
  labelIds: Int32Array;
  /** 1, or 0 where `labels` exceeds the micro-batch's labels. */
  labelWeights: Float32Array;
  /** Tokens of the examples in it. */
  tokenCount: number;
  labelCount: number;
}

/**
 * Training batches: each training epoch is a seeded permutation of all examples, cut into steps of
 * batchSize × accumulation; a last, smaller step is kept.
 */
export function planBatches(options: BatchOptions): BatchPlan {
  const { lengths, batchSize, accumulation, epochs, seed, maxSteps } = options;
  const perStep = batchSize * accumulation;
  const stepsPerEpoch = Math.ceil(lengths.length / perStep);
  const steps = Math.min(stepsPerEpoch * epochs, maxSteps ?? Number.POSITIVE_INFINITY);
  let cached: { epoch: number; order: Int32Array } | null = null;
  function orderOf(epoch: number): Int32Array {
    if (cached?.epoch !== epoch) cached = { epoch, order: permutation(lengths.length, seed, epoch) };
    return cached.order;
  }
  function examplesOf(step: number, i: number): Int32Array {
    const start = (step % stepsPerEpoch) * perStep + i * batchSize;
    const end = Math.min(start + batchSize, lengths.length);
    return orderOf(Math.floor(step / stepsPerEpoch)).subarray(Math.min(start, end), end);
  }
  return plan(options, steps, stepsPerEpoch, examplesOf);
}

/** Evaluation batches: every example once, in order. `micro(step, 0)` is batch `step`. */
export function planEvaluation(
  options: Pick<BatchOptions, 'lengths' | 'labelCounts' | 'batchSize' | 'packing'>,
): BatchPlan {
  const { lengths, batchSize } = options;
  const steps = Math.ceil(lengths.length / batchSize);
  function examplesOf(step: number): number[] {
    const start = step * batchSize;
    return Array.from({ length: Math.min(batchSize, lengths.length - start) }, (_, i) => start + i);
  }
  return plan({ ...options, accumulation: 1 }, steps, steps, examplesOf);
}

function plan(
  options: Pick<BatchOptions, 'lengths' | 'labelCounts' | 'accumulation' | 'packing'>,
  steps: number,
  stepsPerEpoch: number,
  examplesOf: (step: number, i: number) => ArrayLike<number>,
): BatchPlan {
  const { lengths, labelCounts, accumulation, packing } = options;
  // An example's last token is only ever predicted: it takes no position.
  const widths = Int32Array.from(lengths, (length) => length - 1);
  const all: ArrayLike<number>[] = [];
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < accumulation; i++) all.push(examplesOf(step, i));
  }
  const shape = chooseGrid(all, widths, labelCounts, packing);
  const stats = { tokens: 0, computedPositions: 0, paddingFraction: 0 };
  let positions = 0;
  for (const examples of all) {
    if (examples.length > 0) stats.computedPositions += shape.rows * shape.tokens;
    for (let k = 0; k < examples.length; k++) {
      stats.tokens += lengths[examples[k] as number] as number;
      positions += widths[examples[k] as number] as number;
    }
  }
  stats.paddingFraction = stats.computedPositions === 0 ? 0 : 1 - positions / stats.computedPositions;
  return {
    steps,
    stepsPerEpoch,
    shape,
    stats,
    epochAt: (step) => Math.round((100 * (step + 1)) / stepsPerEpoch) / 100,
    micro(step, i) {
      if (step < 0 || step >= steps || i < 0 || i >= accumulation) return [];
      const examples = examplesOf(step, i);
      return (packing ? packRows(examples, widths, shape.tokens) : oneRowEach(examples)).placements;
    },
  };
}

/** The arrays of one micro-batch of the plan. */
export function fillBatch(
  { shape: { rows, tokens, labels }, micro }: Pick<BatchPlan, 'shape' | 'micro'>,
  examples: TokenizedExample[],
  step: number,
  i: number,
): FilledBatch {
  const size = rows * tokens;
  const batch: FilledBatch = {
    ids: new Int32Array(size),
    positions: new Int32Array(size),
    segments: new Int32Array(size),
    labelPositions: new Int32Array(labels),
    labelIds: new Int32Array(labels),
    labelWeights: new Float32Array(labels),
    tokenCount: 0,
    labelCount: 0,
  };
  const inRow = new Int32Array(rows);
  for (const { example, row, offset } of micro(step, i)) {
    const { ids, labelled } = examples[example] as TokenizedExample;
    const start = row * tokens + offset;
    inRow[row] = (inRow[row] as number) + 1;
    for (let t = 0; t < ids.length - 1; t++) {
      batch.ids[start + t] = ids[t] as number;
      batch.positions[start + t] = t;
      batch.segments[start + t] = inRow[row] as number;
      if (labelled[t + 1] !== 1) continue;
      batch.labelPositions[batch.labelCount] = start + t;
      batch.labelIds[batch.labelCount] = ids[t + 1] as number;
      batch.labelWeights[batch.labelCount] = 1;
      batch.labelCount++;
    }
    batch.tokenCount += ids.length;
  }
  return batch;
}

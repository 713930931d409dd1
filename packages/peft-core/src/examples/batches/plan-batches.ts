import { permutation, Random } from '../../random.ts';
import { chooseGrid, type GridShape, LABEL_MULTIPLE, maximum, roundUp, sum } from './choose-grid.ts';
import type { ExampleSize } from './example-size.ts';
import { type MixedFiles, mixedOrder } from './mixed-order.ts';
import { gradientPositions, type Piece, packFlat } from './pack-flat.ts';
import { packRows, unpackedRows } from './pack-rows.ts';
import type { Shareable } from './shared-prefixes.ts';

/**
 * `grid`: rows that sequences are packed into. `flat`: one list of positions. `shared`: a list in which common prefixes of a
 * micro-batch's sequences occur once. The choice changes results only by rounding.
 */
export type BatchLayout = 'grid' | 'flat' | 'shared';

export interface BatchOptions {
  examples: readonly ExampleSize[];
  batchSize: number;
  /** Number of a micro-batch's examples that are computed at a time, planned as consecutive micro-batches; absent: all. */
  miniBatchSize?: number | undefined;
  accumulation: number;
  epochs: number;
  seed: number;
  packing: boolean;
  maxSteps: number | null;
  /** Batches have the same examples in every epoch: those of the list in order, `batchSize` at a time. Default false. */
  keepsBatches?: boolean | undefined;
  /** The files that the examples are of, if an epoch is not all examples once. */
  mixed?: MixedFiles | null | undefined;
  arrangement?: BatchLayout;
}

/** When each example is trained on, and its place in the grid: a pure function of the options, so resuming needs only the step. */
export interface BatchPlan {
  /** Optimizer steps; for an evaluation, batches. */
  steps: number;
  stepsPerEpoch: number;
  /** The same for every micro-batch. */
  shape: GridShape;
  /** Micro-batch `i` of `step`, both from 0. Empty if no examples are left for it in a training epoch's last step. */
  micro(step: number, i: number): PlacedSequence[];
  /** Training epochs done after `step` (from 0), to two digits: 1.5 is the middle of the second. */
  epochAt(step: number): number;
  stats: BatchStats;
}

/** Place of sequence number `part` of an example in the grid. */
export interface PlacedSequence {
  example: number;
  part: number;
  row: number;
  /** Column of its first position. */
  offset: number;
  /** Column of its input's first position in the encoder's grid. */
  inputOffset: number;
  /** The part of the sequence at this place: its positions [from, to). */
  from: number;
  to: number;
  prefix: Piece['prefix'];
  shared: boolean;
}

export interface BatchStats {
  /** Tokens of all examples over the whole plan. */
  tokens: number;
  /** Sequences over the whole plan, and their positions, virtual tokens included. */
  sequences: number;
  positions: number;
  /** How many of these positions are skipped because they are part of a shared prefix. */
  savedPositions: number;
  /** Grid positions computed over the whole plan, without empty micro-batches. */
  computedPositions: number;
  /** Share of computed positions that hold no token. */
  paddingFraction: number;
  /** Maximum number of positions whose key gradients attention with kernels stores at a time: `gradientPositions` of a micro-batch. */
  gradientPositions: number;
}

/**
 * Training batches: each training epoch is a seeded permutation of all examples, cut into steps of
 * batchSize × accumulation; a smaller last step is kept. With `mixed`, an epoch has the examples of `mixedOrder` instead. With `miniBatchSize`, mini-batch m of micro-batch i is number
 * i · miniBatches + m.
 */
export function planBatches(options: BatchOptions): BatchPlan {
  const { examples, batchSize, accumulation, epochs, seed, maxSteps } = options;
  const { miniBatchSize: mini = batchSize } = options;
  const minis = miniBatches(batchSize, mini);
  const perStep = batchSize * accumulation;
  const mixedEpoch = options.mixed ? mixedOrder(options.mixed, seed) : null;
  const perEpoch = options.mixed?.counts.reduce((sum, count) => sum + count, 0) ?? examples.length;
  const stepsPerEpoch = Math.ceil(perEpoch / perStep);
  const steps = Math.min(stepsPerEpoch * epochs, maxSteps ?? Number.POSITIVE_INFINITY);
  let cached: { epoch: number; order: Int32Array } | null = null;
  function orderOf(epoch: number): Int32Array {
    if (cached?.epoch !== epoch) {
      const random = new Random(seed, 'order', epoch);
      const order =
        mixedEpoch?.(epoch) ??
        (options.keepsBatches
          ? wholeBatches(examples.length, batchSize, random)
          : permutation(examples.length, random));
      cached = { epoch, order };
    }
    return cached.order;
  }
  function examplesOf(step: number, i: number): Int32Array {
    const batch = (step % stepsPerEpoch) * perStep + Math.floor(i / minis) * batchSize;
    const start = batch + (i % minis) * mini;
    const end = Math.min(start + mini, batch + batchSize, perEpoch);
    return orderOf(Math.floor(step / stepsPerEpoch)).subarray(Math.min(start, end), end);
  }
  return plan({ ...options, accumulation: accumulation * minis }, steps, stepsPerEpoch, examplesOf);
}

/** A permutation of whole batches; a smaller last one stays last. */
function wholeBatches(count: number, batchSize: number, random: Random): Int32Array {
  const order = new Int32Array(count);
  const whole = Math.floor(count / batchSize);
  for (const [at, batch] of permutation(whole, random).entries())
    for (let i = 0; i < batchSize; i++) order[at * batchSize + i] = batch * batchSize + i;
  for (let i = whole * batchSize; i < count; i++) order[i] = i;
  return order;
}

/** Number of mini-batches per micro-batch. */
export const miniBatches = (batchSize: number, miniBatchSize: number): number =>
  Math.ceil(batchSize / miniBatchSize);

/**
 * Evaluation batches: every example once, in order. `micro(step, 0)` is batch `step`. `sets`: numbers of examples that are measured
 * separately; no batch has examples of two sets.
 */
export function planEvaluation(
  options: Pick<BatchOptions, 'examples' | 'batchSize' | 'packing' | 'arrangement'> & {
    sets?: readonly number[] | null | undefined;
  },
): BatchPlan {
  const { batchSize, sets } = options;
  const batches: { start: number; length: number }[] = [];
  let from = 0;
  for (const size of sets ?? [options.examples.length]) {
    for (let at = 0; at < size; at += batchSize)
      batches.push({ start: from + at, length: Math.min(batchSize, size - at) });
    from += size;
  }
  const examplesOf = (step: number): number[] => {
    const { start, length } = batches[step]!;
    return Array.from({ length }, (_, i) => start + i);
  };
  return plan({ ...options, accumulation: 1 }, batches.length, batches.length, examplesOf);
}

/** The part of a plan that an evaluation reads. */
export type MeasuredPlan = Pick<BatchPlan, 'steps' | 'shape' | 'micro'>;

/** The plan of each set of an evaluation that was planned with `sets`; the examples of each are numbered from 0. */
export function plansOfSets(whole: MeasuredPlan, sets: readonly number[]): MeasuredPlan[] {
  let [step, example] = [0, 0];
  return sets.map((size) => {
    const firstExample = example;
    const firstStep = step;
    example += size;
    // No batch has examples of two sets.
    while (step < whole.steps && whole.micro(step, 0)[0]!.example < example) step++;
    return {
      steps: step - firstStep,
      shape: whole.shape,
      micro: (at, i) =>
        whole
          .micro(firstStep + at, i)
          .map((placed) => ({ ...placed, example: placed.example - firstExample })),
    };
  });
}

function plan(
  options: Pick<BatchOptions, 'examples' | 'accumulation' | 'packing' | 'arrangement'>,
  steps: number,
  stepsPerEpoch: number,
  examplesOf: (step: number, i: number) => ArrayLike<number>,
): BatchPlan {
  const { examples, accumulation, packing, arrangement = 'grid' } = options;
  const { widths: own, inputs, labels, owners, firsts } = sequencesOf(examples);
  const widths = { own, inputs: examples.some(({ inputWidth }) => inputWidth > 0) ? inputs : null };
  const sequencesIn = (chosen: ArrayLike<number>) => {
    const all: number[] = [];
    for (let k = 0; k < chosen.length; k++) {
      const example = chosen[k] as number;
      for (let s = firsts[example] as number; owners[s] === example; s++) all.push(s);
    }
    return all;
  };
  const all: ArrayLike<number>[] = [];
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < accumulation; i++) all.push(examplesOf(step, i));
  }
  const shareable = (sequence: number): Shareable => {
    const example = owners[sequence] as number;
    return examples[example]!.shareable?.[sequence - (firsts[example] as number)] ?? nothingToShare;
  };
  const flat = (chosen: ArrayLike<number>) =>
    packFlat(sequencesIn(chosen), own, arrangement === 'shared' ? shareable : null);
  const lists = arrangement === 'grid' ? null : all.map(flat);
  const shape = {
    ...(lists
      ? flatShape(
          lists,
          all.map((chosen) => sum(sequencesIn(chosen), labels)),
          all.map((chosen) => sum(sequencesIn(chosen), inputs)),
        )
      : chooseGrid(all.map(sequencesIn), widths, labels, packing)),
    sequences: examples.reduce((most, each) => Math.max(most, each.widths.length), 0),
    ...(examples.some(({ isPair }) => isPair) ? { pairs: maximum(all.map(({ length }) => length)) } : {}),
  };
  const stats: BatchStats = {
    tokens: 0,
    sequences: 0,
    positions: 0,
    savedPositions: 0,
    computedPositions: 0,
    paddingFraction: 0,
    gradientPositions: maximum(lists?.map(({ pieces }) => gradientPositions(pieces)) ?? []),
  };
  let filled = 0;
  for (const [i, chosen] of all.entries()) {
    if (chosen.length > 0) stats.computedPositions += shape.rows * (shape.tokens + shape.inputTokens);
    let positions = 0;
    for (let k = 0; k < chosen.length; k++) {
      const { tokens, widths, inputWidth } = examples[chosen[k] as number] as ExampleSize;
      stats.tokens += tokens;
      stats.sequences += widths.length;
      for (const width of widths) positions += width;
      filled += inputWidth;
    }
    stats.positions += positions;
    const laid = lists ? lists[i]!.length : positions;
    stats.savedPositions += positions - laid;
    filled += laid;
  }
  stats.paddingFraction = stats.computedPositions === 0 ? 0 : 1 - filled / stats.computedPositions;
  return {
    steps,
    stepsPerEpoch,
    shape,
    stats,
    epochAt: (step) => Math.round((100 * (step + 1)) / stepsPerEpoch) / 100,
    micro(step, i) {
      if (step < 0 || step >= steps || i < 0 || i >= accumulation) return [];
      const chosen = examplesOf(step, i);
      const named = (sequence: number) => {
        const example = owners[sequence] as number;
        return { example, part: sequence - (firsts[example] as number) };
      };
      if (lists) {
        let inputEnd = 0;
        return flat(chosen).pieces.map(({ sequence, ...piece }) => {
          const inputOffset = inputEnd;
          inputEnd += inputs[sequence] as number;
          return { ...named(sequence), row: 0, inputOffset, ...piece };
        });
      }
      const sequences = sequencesIn(chosen);
      const { placements } = packing ? packRows(sequences, widths, shape) : unpackedRows(sequences);
      return placements.map(({ sequence, ...place }) => ({
        ...named(sequence),
        ...place,
        from: 0,
        to: own[sequence] as number,
        prefix: null,
        shared: false,
      }));
    },
  };
}

const nothingToShare: Shareable = { ids: new Int32Array(0), limit: 0 };

/** One row, as long as the longest list; the same for the encoder's grid. */
function flatShape(
  lists: { pieces: Piece[]; length: number }[],
  labels: number[],
  inputs: number[],
): Omit<GridShape, 'sequences'> {
  return {
    rows: 1,
    tokens: roundUp(maximum(lists.map(({ length }) => length)), POSITION_MULTIPLE),
    inputTokens: roundUp(maximum(inputs), POSITION_MULTIPLE),
    labels: roundUp(maximum(labels), LABEL_MULTIPLE),
    spans: maximum(lists.map(({ pieces }) => pieces.length)),
  };
}

const POSITION_MULTIPLE = 16;

/** All sequences of all examples, in order: width, input width, labels and example of each; and the first sequence of each example. */
function sequencesOf(examples: readonly ExampleSize[]) {
  const count = examples.reduce((sum, { widths }) => sum + widths.length, 0);
  const widths = new Int32Array(count);
  const inputs = new Int32Array(count);
  const labels = new Int32Array(count);
  const owners = new Int32Array(count);
  const firsts = new Int32Array(examples.length);
  let next = 0;
  for (const [example, size] of examples.entries()) {
    firsts[example] = next;
    labels[next] = size.labels;
    inputs[next] = size.inputWidth;
    for (const width of size.widths) {
      widths[next] = width;
      owners[next++] = example;
    }
  }
  return { widths, inputs, labels, owners, firsts };
}

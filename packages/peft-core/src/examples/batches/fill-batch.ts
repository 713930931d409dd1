import { TextNumbers, textOf } from '../text-numbers.ts';
import { NO_TARGET, type TrainingExample } from '../training-example.ts';
import { firstActiveInExample, promptTargets } from './example-size.ts';
import { placeOf } from './pack-flat.ts';
import type { BatchLayout, BatchPlan } from './plan-batches.ts';

export interface SequenceLayout {
  /** Number of virtual tokens before every sequence, or before its encoder's input. Their ids start at `vocabularySize`. */
  virtualTokens: number;
  vocabularySize: number;
  firstPosition: number;
  /** Which token's hidden state represents a whole sequence; mean: the average of all. */
  pooling: 'first' | 'last' | 'mean';
  /** The tokens of a text's prompt are pooled, too. Absent: true. */
  includePrompt?: boolean;
  /** Number of classes of texts that may have several. Absent: 0. */
  classes?: number;
  /** True if the tokens of a preference pair's prompt are targets of the chosen sequence, too. Default false. */
  learnsPrompts?: boolean;
  /** See `BatchOptions.keepsBatches`. */
  keepsBatches?: boolean;
  /** BatchLayout of a micro-batch's sequences. Absent: a grid. */
  arrangement?: BatchLayout;
  /** The tokens from whose last occurrence in a sequence on the adapter is active. Absent or null: it always is. */
  invocation?: readonly number[] | null;
}

/** Layout of the plain base model's sequences: no soft prompt, and no activation. */
export const layoutOfBase = { virtualTokens: 0, firstPosition: 0, invocation: null };

/** Tokens of a grid, row-major, rows × tokens. */
export interface FilledGrid {
  ids: Int32Array;
  /** Position within the sequence. */
  positions: Int32Array;
  /** 0 for padding, else the number, from 1, of the sequence within its row. */
  segments: Int32Array;
}

export interface FilledBatch extends FilledGrid {
  /** Input of an encoder-decoder's encoder; a sequence has the same segment number in both grids. Empty for other models. */
  input: FilledGrid;
  /** 1 for each position at which the adapter is active; null: it always is. */
  active: Int32Array | null;
  /** Segment of the shared prefix that precedes each position's own segment; −1 for none. */
  parents: Int32Array;
  /** Segment of the shared prefix that precedes that prefix; −1 for none. */
  grandparents: Int32Array;
  /** Start and end of each sequence's positions, and of the prefix that it shares; zeros in unused entries. */
  spans: Int32Array;
  /** Start and end of each sequence's encoder input, and two zeros. Empty for other models. */
  inputSpans: Int32Array;
  /** Flat grid index of the position whose hidden state predicts the label. */
  labelPositions: Int32Array;
  labelIds: Int32Array;
  /** Number of each label's sequence in the micro-batch, for sums over a sequence; 0 in unused entries. */
  labelOwners: Int32Array;
  /** For texts that may have several classes, `(labels · classes)`: 1 for each class of a text. Empty for others. */
  labelTargets: Float32Array;
  /** Weight of each target, or each example to embed: 1 by default, and always greater than 0; 0 in unused entries. */
  labelWeights: Float32Array;
  /** Weight of each position in its sequence's pooled vector. */
  poolWeights: Float32Array;
  /** Number of each position's pooled vector: `part · labels + k` for sequence `part` of example `k`; `sequences · labels` for none. */
  poolVectors: Int32Array;
  /** Number of each pooled vector's text, to recognise equal texts; −1 for none. */
  texts: Int32Array;
  /** The target cosine of example `k`. */
  scores: Float32Array;
  /** The preference pairs of the micro-batch, and which pair each label is of; null for other examples. */
  pairs: FilledPairs | null;
  /** Number of positions up to the last one with a token; the rest of a list is unused. */
  length: number;
  tokenCount: number;
  labelCount: number;
}

/** Preference pairs: completions of one prompt, the first of which is chosen, or judged. Unused entries are 0. */
export interface FilledPairs {
  count: number;
  /** `(pairs)`: index of each pair's example. */
  examples: Int32Array;
  /** `(pairs)`: weight of each pair in the loss. */
  weights: Float32Array;
  /** `(2 · pairs)`: log-probabilities of all first completions under the reference model, then of all second ones. */
  references: Float32Array;
  /** `(pairs)`: 1 if the first completion is desirable. */
  desirable: Float32Array;
  /** `(labels)`: number of each label's pair. */
  labelPairs: Int32Array;
  /** `(labels)`: 1 for a token of the first completion, −1 of the second, 0 of a prompt. */
  labelSides: Float32Array;
}

/** Denominator of a batch's loss: its pairs, or else its targets; with the sum of their weights, each times `factors` of its class. */
export function targetsOf(
  batch: Pick<FilledBatch, 'labelWeights' | 'labelIds' | 'labelCount' | 'pairs'>,
  factors: readonly number[] | null = null,
): { count: number; weight: number } {
  const { pairs, labelCount } = batch;
  if (!pairs) return { count: labelCount, weight: totalWeight(batch, factors) };
  return { count: pairs.count, weight: pairs.weights.reduce((sum, weight) => sum + weight, 0) };
}

/** Sum of the weights of a batch's targets, each times `factors` of its class if given: what its loss is divided by. */
function totalWeight(
  { labelWeights, labelIds, labelCount }: Pick<FilledBatch, 'labelWeights' | 'labelIds' | 'labelCount'>,
  factors: readonly number[] | null = null,
): number {
  let sum = 0;
  for (let k = 0; k < labelCount; k++) sum += labelWeights[k]! * (factors ? factors[labelIds[k]!]! : 1);
  return sum;
}

/** The arrays of one micro-batch of the plan. `texts` numbers the texts to embed. */
export function fillBatch(
  { shape, micro }: Pick<BatchPlan, 'shape' | 'micro'>,
  examples: readonly TrainingExample[],
  step: number,
  i: number,
  layout: SequenceLayout,
  texts = new TextNumbers(),
): FilledBatch {
  const size = shape.rows * shape.tokens;
  const batch: FilledBatch = {
    ...emptyGrid(size),
    input: emptyGrid(shape.rows * shape.inputTokens),
    active: layout.invocation ? new Int32Array(size) : null,
    parents: new Int32Array(size).fill(-1),
    grandparents: new Int32Array(size).fill(-1),
    spans: new Int32Array(4 * shape.spans),
    inputSpans: new Int32Array(shape.inputTokens > 0 ? 4 * shape.spans : 0),
    labelPositions: new Int32Array(shape.labels),
    labelIds: new Int32Array(shape.labels),
    labelOwners: new Int32Array(shape.labels),
    labelTargets: new Float32Array(shape.labels * (layout.classes ?? 0)),
    labelWeights: new Float32Array(shape.labels),
    poolWeights: new Float32Array(size),
    poolVectors: new Int32Array(size).fill(shape.sequences * shape.labels),
    texts: new Int32Array(shape.sequences * shape.labels).fill(-1),
    scores: new Float32Array(shape.labels),
    pairs: shape.pairs === undefined ? null : emptyPairs(shape.pairs, shape.labels),
    length: 0,
    tokenCount: 0,
    labelCount: 0,
  };
  const addLabel = (position: number, label: number, owner: number, weight: number) => {
    batch.labelPositions[batch.labelCount] = position;
    batch.labelIds[batch.labelCount] = label;
    batch.labelOwners[batch.labelCount] = owner;
    batch.labelWeights[batch.labelCount++] = weight;
  };
  const { virtualTokens, vocabularySize, firstPosition, pooling } = layout;
  const inRow = new Int32Array(shape.rows);
  const embedded = new Map<number, number>();

  /** The pair of an example's sequence. An example that a mixture repeats may be in the micro-batch more than once. */
  const placed = new Map<number, { numbers: number[]; seen: number[] }>();
  const pairOf = (example: number, part: number): number => {
    const own = placed.get(example) ?? { numbers: [], seen: [0, 0] };
    placed.set(example, own);
    const time = own.seen[part]!++;
    own.numbers[time] ??= batch.pairs!.count++;
    return own.numbers[time];
  };

  /** Writes positions [from, to) of a sequence, whose first `leading` are virtual tokens, at `start`. */
  const write = (
    grid: FilledGrid,
    start: number,
    segment: number,
    ids: Int32Array,
    { leading, from, to }: { leading: number; from: number; to: number },
  ) => {
    for (let t = from; t < to; t++) {
      const at = start + t - from;
      grid.ids[at] = t < leading ? vocabularySize + t : (ids[t - leading] as number);
      grid.positions[at] = t;
      grid.segments[at] = segment;
    }
  };

  for (const [number, piece] of micro(step, i).entries()) {
    const { example: index, part, row, offset, inputOffset, from, to, prefix, shared } = piece;
    const example = examples[index] as TrainingExample;
    const sequence = example.sequences[part] as TrainingExample['sequences'][0];
    const { ids, input, targets, weights } = sequence;
    const { weight = 1 } = example;
    const start = row * shape.tokens + offset;
    const end = start + to - from;
    const segment = (inRow[row] as number) + 1;
    inRow[row] = segment;
    const leading = input ? 0 : virtualTokens;
    if (input) {
      const whole = { leading: virtualTokens, from: 0, to: virtualTokens + input.length };
      const start = row * shape.inputTokens + inputOffset;
      write(batch.input, start, segment, input, whole);
      batch.inputSpans.set([start, start + whole.to], 4 * number);
    }
    write(batch, start, segment, ids, { leading, from, to });
    if (batch.active) {
      // The prefix that several sequences share ends before the activation of each: `sizeOf`.
      const first = leading + firstActiveInExample({ ids, targets }, layout.invocation!) - from;
      batch.active.fill(1, Math.min(end, start + Math.max(0, first)), end);
    }
    for (let t = start; t < end; t++) (batch.positions[t] as number) += firstPosition;
    batch.spans.set([start, end], 4 * number);
    batch.length = Math.max(batch.length, end);
    if (prefix) {
      batch.spans.set([prefix.offset, prefix.offset + prefix.to - prefix.from], 4 * number + 2);
      batch.parents.fill(batch.segments[prefix.offset] as number, start, end);
      if (prefix.before) batch.grandparents.fill(batch.segments[prefix.before.offset] as number, start, end);
    }
    if (shared) continue;
    const { pairs } = batch;
    if (pairs) {
      const k = pairOf(index, part);
      pairs.examples[k] = index;
      pairs.weights[k] = weight;
      pairs.references[part * shape.pairs! + k] = example.reference?.[part] ?? 0;
      pairs.desirable[k] = example.isDesirable === false ? 0 : 1;
      const add = (position: number, target: number, side: number) => {
        pairs.labelPairs[batch.labelCount] = k;
        pairs.labelSides[batch.labelCount] = side;
        addLabel(position, target, number, 1);
      };
      const prompt = layout.learnsPrompts && part === 0 ? promptTargets(targets!) : 0;
      // The beginning of a prompt may be shared, at another place of the list.
      for (let t = 0; t < prompt; t++) add(row * shape.tokens + placeOf(piece, leading + t), ids[t + 1]!, 0);
      for (const [t, target] of targets!.entries())
        if (target !== NO_TARGET) add(start + leading + t - from, target, part === 0 ? 1 : -1);
    } else
      for (const [t, target] of targets?.entries() ?? [])
        if (target !== NO_TARGET)
          addLabel(start + leading + t - from, target, number, weight * (weights?.[t] ?? 1));
    if (part === 0) batch.tokenCount += example.tokens;
    if (targets) continue;
    const skipped = layout.includePrompt === false ? (sequence.promptLength ?? 0) : 0;
    const pooled = pooling === 'last' ? end - 1 : start + (skipped > 0 ? leading + skipped : 0);
    if (example.labels) {
      for (const label of example.labels) batch.labelTargets[batch.labelCount * layout.classes! + label] = 1;
      addLabel(pooled, 0, number, weight);
      continue;
    }
    if (example.label !== undefined) {
      addLabel(pooled, example.label, number, weight);
      continue;
    }
    // An example to embed. Its sequences may come in any order.
    const k = embedded.get(index) ?? batch.labelCount++;
    embedded.set(index, k);
    batch.labelWeights[k] = weight;
    batch.scores[k] = example.score ?? 0;
    const vector = part * shape.labels + k;
    batch.texts[vector] = texts.of(textOf(sequence));
    const pooledTo = pooling === 'mean' ? end : pooled + 1;
    batch.poolVectors.fill(vector, pooled, pooledTo);
    batch.poolWeights.fill(1 / (pooledTo - pooled), pooled, pooledTo);
  }
  if (batch.pairs) shareLikelihood(batch, batch.pairs);
  return batch;
}

/**
 * Weights of labels in the negative log-likelihood of prompts and first completions, in proportion to the weights of their pairs. They
 * add up to the weight of the pairs, as one mean for each pair would.
 */
function shareLikelihood(
  { labelWeights, labelCount }: Pick<FilledBatch, 'labelWeights' | 'labelCount'>,
  { weights, labelPairs, labelSides }: FilledPairs,
): void {
  let all = 0;
  for (let k = 0; k < labelCount; k++) all += labelSides[k]! < 0 ? 0 : weights[labelPairs[k]!]!;
  const share = weights.reduce((sum, weight) => sum + weight, 0) / all;
  for (let k = 0; k < labelCount; k++)
    labelWeights[k] = labelSides[k]! < 0 ? 0 : weights[labelPairs[k]!]! * share;
}

function emptyPairs(pairs: number, labels: number): FilledPairs {
  return {
    count: 0,
    examples: new Int32Array(pairs),
    weights: new Float32Array(pairs),
    references: new Float32Array(2 * pairs),
    desirable: new Float32Array(pairs),
    labelPairs: new Int32Array(labels),
    labelSides: new Float32Array(labels),
  };
}

function emptyGrid(size: number): FilledGrid {
  return { ids: new Int32Array(size), positions: new Int32Array(size), segments: new Int32Array(size) };
}

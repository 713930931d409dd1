import { cast, type ProgramBuilder, rawOp, tf, type Variable } from '@graft/tf-graph';
import { exactly } from '../../nn/computation.ts';
import { continuedConvolution } from '../../nn/delta-rule/causal-convolution.ts';
import { continuedDeltaRule } from '../../nn/delta-rule/delta-rule.ts';
import { continuedChunks } from '../../nn/delta-rule/segment-chunks.ts';
import { continuedStateSpace } from '../../nn/state-space/state-space.ts';
import { type Layers, layersOf, mixedWidth, type Recurrence } from '../../outlines/outline.ts';
import { recursByKernel, separated, withSkip } from '../../peft-model/packed-recurrence.ts';
import type { RuntimeOptions } from '../../peft-model/peft-model.ts';

/** Places that hold no sequence's state: one with zeros, which is never written, and one for writes of rows without a sequence. */
export const STATES = { zeros: 0, padding: 1, count: 2 } as const;

/** The places of the state before and after a piece. */
export interface StatePlaces {
  from: number;
  to: number;
}

/**
 * The two places of a sequence: a step reads one and writes the other, so that a step that failed can be repeated. `number` counts
 * the sequences with a state.
 */
export class SequenceState {
  readonly number: number;
  #reads = 0;

  constructor(number: number) {
    this.number = number;
  }

  /** The places for a piece that starts at position `start` of the sequence. */
  places(start: number): StatePlaces {
    const first = STATES.count + 2 * this.number;
    return { from: start === 0 ? STATES.zeros : first + this.#reads, to: first + (1 - this.#reads) };
  }

  /** Records that a step has written the state. */
  advance(): void {
    this.#reads = 1 - this.#reads;
  }
}

/** The states of one layer in all places. */
export interface LayerStates {
  /** `(places, valueHeads · keySize · valueSize)` */
  state: Variable;
  /** `(places, (reach − 1) · mixedWidth)`: inputs of the convolution at the last positions. */
  inputs: Variable;
}

const widthsOf = (recurrence: Recurrence) => ({
  state: recurrence.valueHeads * recurrence.keySize * recurrence.valueSize,
  inputs: (recurrence.reach - 1) * mixedWidth(recurrence),
});

/** Bytes of the states of one sequence. */
export function bytesOfSequence(model: Layers): number {
  if (!model.recurrence) return 0;
  const { state, inputs } = widthsOf(model.recurrence);
  return 2 * 4 * layersOf(model).recurrent.length * (state + inputs);
}

/** Number of sequences in a step, each with a state in every recurrent layer: as many as fit in the memory of the cache, but at least one and at most `rows`. */
export function sequencesWithState(
  model: Layers,
  { rows, cacheBytes }: { rows: number; cacheBytes: number },
): number {
  if (!model.recurrence) return rows;
  return Math.max(1, Math.min(rows, Math.floor(cacheBytes / bytesOfSequence(model))));
}

export function declareStates(
  builder: ProgramBuilder,
  model: Layers,
  sequences: number,
): ReadonlyMap<number, LayerStates> {
  if (!model.recurrence) return new Map();
  const places = STATES.count + 2 * sequences;
  const widths = widthsOf(model.recurrence);
  const variable = (layer: number, part: 'state' | 'inputs') =>
    builder.variable({ name: `recurrence.${layer}.${part}`, shape: [places, widths[part]] });
  return new Map(
    layersOf(model).recurrent.map((layer) => [
      layer,
      { state: variable(layer, 'state'), inputs: variable(layer, 'inputs') },
    ]),
  );
}

/** A grid of sequences × new positions, of which each sequence uses the first ones. */
export interface StateGrid {
  sequences: number;
  /** `(S)` int32: places to read and to write. */
  from: tf.Tensor;
  to: tf.Tensor;
  /** `(S)` int32: numbers of used positions, at least one. */
  counts: tf.Tensor;
}

/** The recurrent layers of sequences that continue, for `PeftModel.runtime`. */
export function gridRecurrence(
  states: ReadonlyMap<number, LayerStates>,
  { reach, rule }: Recurrence,
  { sequences, from, to, counts }: StateGrid,
): NonNullable<RuntimeOptions['recur']> {
  const recur = rule === 'delta' ? continuedDeltaRule : continuedStateSpace;
  return (site, { mixed, convolution, decay, rate, skip }) => {
    const { layer, valueHeads, keySize, valueSize } = site;
    const { state, inputs } = states.get(layer)!;
    const [positions, width] = mixed.shape as [number, number];
    const tokens = positions / sequences;
    const earlier = tf.reshape(inputs.gather(from, { partlyWritten: true }), [sequences, reach - 1, width]);
    const all = tf.concat([earlier, tf.reshape(exactly(mixed), [sequences, tokens, width])], 1);
    inputs.assignRows(to, lastInputs(all, counts, reach - 1));
    const used = usedPositions(counts, tokens);
    const isUsed = tf.reshape(tf.cast(used, 'int32'), [positions]);
    const convolved = continuedConvolution(mixed, convolution, earlier, isUsed);
    const parts = separated(convolved, site);
    const before = tf.reshape(state.gather(from, { partlyWritten: true }), [
      sequences,
      valueHeads,
      keySize,
      valueSize,
    ]);
    const { y, state: after } = recur(
      { ...parts, decay: tf.mul(decay, used), rate: tf.mul(rate, used) },
      site,
      continuedChunks(sequences, tokens, isUsed, recursByKernel(rule)),
      before,
    );
    state.assignRows(to, tf.reshape(after, [sequences, -1]));
    return withSkip(y, parts.v, skip);
  };
}

/** The `count` inputs up to the last used position, `(S, count · W)`, from x `(S, count + n, W)`. */
function lastInputs(x: tf.Tensor, counts: tf.Tensor, count: number): tf.Tensor {
  const [sequences, length, width] = x.shape as [number, number, number];
  const places = Array.from(
    { length: sequences * count },
    (_, at) => Math.floor(at / count) * length + (at % count),
  );
  // In int64: TensorFlow computes int32 operations on the CPU, even for tensors on a GPU.
  const starts = tf.expandDims(cast(counts, 'int64'), 1);
  const rows = rawOp('AddV2', [], [starts, tf.tensor2d(places, [sequences, count], 'int32')])[0]!;
  const flat = tf.gather(tf.reshape(x, [sequences * length, width]), tf.reshape(rows, [-1]));
  return tf.reshape(flat, [sequences, count * width]);
}

/** `(S · n, 1)` float32: 1 for the first `counts` positions of each sequence, otherwise 0. */
function usedPositions(counts: tf.Tensor, tokens: number): tf.Tensor {
  const ends = tf.reshape(tf.cast(counts, 'float32'), [-1, 1]);
  const used = tf.less(tf.range(0, tokens, 1, 'float32'), ends);
  return tf.reshape(tf.cast(used, 'float32'), [-1, 1]);
}

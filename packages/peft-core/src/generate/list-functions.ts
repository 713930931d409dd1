import type { tf } from '@graft/tf-graph';
import { adapterTensors } from '../peft-model/peft-model.ts';
import { activeIn } from './activation/activation.ts';
import { BLOCK } from './block-pool.ts';
import { cacheFunctions } from './cache-functions.ts';
import { listAttention } from './cached-attention.ts';
import {
  concatRows,
  type FunctionParts,
  type ModelFunctions,
  noAttention,
  type Piece,
  readsLengths,
  rowOf,
  traceForServing,
} from './step.ts';

/** Maximum number of positions in a step. */
export const MAX_POSITIONS = 1024;

/**
 * A step as one list of positions of the required length: every row is computed as if it were alone, bit for bit, so neither other
 * answers nor the division of a prompt into pieces changes a text.
 */
export function listFunctions(parts: FunctionParts): ModelFunctions {
  const { builder, program, name, model, caches, limits, arena } = parts;
  const { architecture } = model;
  const { rows, context } = limits;
  const { activates } = model.attachment ?? {};
  const most = Math.ceil(context / BLOCK);
  const scratch = new ScratchBuffer();
  const perPosition = { shape: [MAX_POSITIONS], dtype: 'int32', varies: true } as const;
  const perRow = { shape: [rows], dtype: 'int32', varies: true } as const;
  const { places, scales } = arena?.inputs(rows) ?? {};

  const runtimeOf = (
    attend: Parameters<typeof model.runtime>[0]['attend'],
    { active, ...given }: Partial<Record<'owners' | 'places' | 'scales' | 'active', tf.Tensor | undefined>>,
  ) => {
    const parameters = adapterTensors(model);
    const runtime = model.runtime({ parameters, attend, ...(active && { active }) });
    if (!arena) return runtime;
    return arena.applied(runtime, { owners: given.owners!, places: given.places!, scales: given.scales! });
  };
  const extend = builder.onDemand(program, () =>
    builder.function(
      `${name}/extend`,
      {
        ids: perPosition,
        positions: perPosition,
        reached: readsLengths(architecture, limits) ? perPosition : undefined,
        owners: arena ? perPosition : undefined,
        active: activates ? perPosition : undefined,
        spans: { shape: [rows, 3], dtype: 'int32' } as const,
        blocks: { shape: [rows, most], dtype: 'int32' } as const,
        places,
        scales,
      },
      ({ ids, positions, reached, spans, blocks, owners, active, places, scales }) =>
        traceForServing(limits, () => {
          const attend = listAttention(caches, spans, blocks);
          const runtime = runtimeOf(attend, { owners, places, scales, active });
          const grid = { rows: 1, tokens: ids.shape[0]!, positions, ...(reached ? { reached } : {}) };
          return { hidden: architecture.body(runtime, ids, grid) };
        }),
      { inOneThread: true },
    ),
  );
  const head = builder.onDemand(program, () =>
    builder.function(
      `${name}/head`,
      {
        hidden: { shape: [rows, architecture.hiddenSize], dtype: 'float32', varies: true } as const,
        owners: arena ? perRow : undefined,
        places,
        scales,
      },
      ({ hidden, owners, places, scales }) =>
        traceForServing(limits, () => {
          const runtime = runtimeOf(noAttention, { owners, places, scales });
          return { logits: architecture.logits!(runtime, architecture.finalNorm(runtime, hidden)) };
        }),
      { inOneThread: true },
    ),
  );

  const adaptersOf = (pieces: readonly Piece[]) => {
    const updates = pieces.map((piece) => piece.updates);
    return arena?.feeds(updates, rows) ?? { owners: [], places: undefined, scales: undefined };
  };

  return {
    compute(given) {
      // Neighbouring rows of one adapter are updated together. The order changes no row.
      const numbers = byAdapter(given);
      const pieces = numbers.map((i) => given[i]!);
      const { owners, places, scales } = adaptersOf(pieces);
      const spans = new Int32Array(rows * 3);
      const blocks = new Int32Array(rows * most);
      const ends: number[] = [];
      let end = 0;
      for (const [i, { ids, start, blocks: own }] of pieces.entries()) {
        spans.set([end, end + ids.length, start], 3 * i);
        blocks.set(own.slice(0, most), i * most);
        end += ids.length;
        ends.push(end);
      }
      const { hidden } = program.run(extend(), {
        ids: Int32Array.from(pieces.flatMap(({ ids }) => ids)),
        positions: Int32Array.from(pieces.flatMap(({ ids, start }) => ids.map((_, i) => start + i))),
        reached: readsLengths(architecture, limits)
          ? Int32Array.from(pieces.flatMap(({ ids, length }) => ids.map(() => length)))
          : undefined,
        owners: arena
          ? Int32Array.from(
              pieces.flatMap((piece, i) => activeIn(piece).map((isActive) => (isActive ? owners[i]! : -1))),
            )
          : undefined,
        active: activates
          ? Int32Array.from(pieces.flatMap((piece) => activeIn(piece).map(Number)))
          : undefined,
        spans,
        blocks,
        places,
        scales,
      });
      const states: Float32Array[] = [];
      for (const [i, number] of numbers.entries()) states[number] = rowOf(hidden, ends[i]! - 1);
      return states;
    },
    logits(hidden, pieces) {
      const { owners, places, scales } = adaptersOf(pieces);
      const { logits } = program.run(
        head(),
        { hidden: concatRows(hidden), owners: arena ? Int32Array.from(owners) : undefined, places, scales },
        { into: scratch.take(hidden.length * architecture.vocabularySize) },
      );
      return hidden.map((_, i) => rowOf(logits, i));
    },
    ...cacheFunctions(parts),
  };
}

/** Numbers of the pieces, those of one adapter side by side. */
function byAdapter(pieces: readonly Piece[]): number[] {
  const groups = new Map<Piece['updates'], number[]>();
  for (const [i, { updates }] of pieces.entries()) groups.set(updates, [...(groups.get(updates) ?? []), i]);
  return [...groups.values()].flat();
}

/** A buffer that results are written into one after the other: allocating memory for each takes longer. */
class ScratchBuffer {
  #memory = new Float32Array(0);

  /** Returns `count` values with undefined content. They share the memory of all values returned before. */
  take(count: number): Float32Array {
    if (this.#memory.length < count) this.#memory = new Float32Array(count);
    return this.#memory.subarray(0, count);
  }
}

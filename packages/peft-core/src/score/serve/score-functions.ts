import { type Program, type ProgramBuilder, usesGraftKernels } from '@graft/tf-graph';
import type { AdapterArena, PlacedUpdates } from '../../generate/arenas/adapter-arena.ts';
import { traceForServing } from '../../generate/step.ts';
import type { Architecture } from '../../models/architecture.ts';
import { takeRows } from '../../nn/rows.ts';
import { packedAttention } from '../../peft-model/packed-attention.ts';
import { packedRecurrence } from '../../peft-model/packed-recurrence.ts';
import { adapterTensors, type PeftModel } from '../../peft-model/peft-model.ts';

/** Maximum number of sequences in a run. */
export const MAX_SEQUENCES = 64;

/** Number of positions up to which short sequences are computed together. */
export const MAX_POSITIONS = 1024;

/** Lengths that a run is padded to where positions cannot vary. */
const LENGTHS = [32, 128, 256, 512, MAX_POSITIONS, 2048];

/** A sequence of tokens, and the adapter of its row; null without an own update. */
export interface ScoredSequence {
  ids: readonly number[];
  updates: PlacedUpdates | null;
  /** Index of its position that represents it where `rows` is `first`. Absent: 0. */
  first?: number;
}

export interface ScoreParts {
  builder: ProgramBuilder;
  program: Program;
  /** Unique name in the program. */
  name: string;
  model: PeftModel;
  /** Which rows the result has: one for each sequence, of its first (`first`) or last position, or one for each position. */
  rows: 'first' | 'last' | 'all';
  /** Maximum length of a sequence. */
  longest: number;
  arena: AdapterArena | null;
}

/**
 * Checks whether positions are computed as one list of the required length, every row as if it were alone, bit for bit. Other models are
 * computed in lists of fixed lengths.
 */
export const usesLists = ({ recurrence }: Architecture, prefix: number): boolean =>
  usesGraftKernels() && !recurrence && prefix === 0;

/**
 * Returns a function that computes at most `MAX_SEQUENCES` sequences. The result holds the rows of each, `(1, W)` or `(T, W)`: logits, or the
 * normalised hidden states of a model without a head.
 */
export function scoreFunctions(parts: ScoreParts): (sequences: readonly ScoredSequence[]) => Float32Array[] {
  const { builder, program, name, model, rows, longest, arena } = parts;
  const { architecture } = model;
  const prefix = model.attachment?.prefixLength ?? 0;
  const varies = usesLists(architecture, prefix);
  const most = Math.max(MAX_POSITIONS, longest);
  const lengths = [...LENGTHS.filter((n) => n < most), most];
  const { places, scales } = arena?.inputs(MAX_SEQUENCES) ?? {};

  const scoreOn = builder.onDemand(program, (tokens: number) => {
    const perPosition = { shape: [tokens], dtype: 'int32', ...(varies ? { varies } : {}) } as const;
    return builder.function(
      `${name}/score_${tokens}`,
      {
        ids: perPosition,
        positions: perPosition,
        segments: perPosition,
        spans: { shape: [MAX_SEQUENCES, 4], dtype: 'int32' } as const,
        read: rows === 'all' ? undefined : ({ shape: [MAX_SEQUENCES], dtype: 'int32' } as const),
        owners: arena ? perPosition : undefined,
        places,
        scales,
      },
      ({ ids, positions, segments, spans, read, owners, places, scales }) =>
        traceForServing({}, () => {
          const own = { rows: 1, tokens: ids.shape[0]!, positions, segments, spans };
          const attend = packedAttention(architecture, own);
          const recur = architecture.recurrence && packedRecurrence(architecture.recurrence, own);
          // The owners of rows are those of all positions, so rows are selected after the last block.
          const early = arena ? undefined : read;
          const plain = model.runtime({
            parameters: adapterTensors(model),
            attend,
            ...(recur && { recur }),
            ...(early && { read: early }),
          });
          const runtime = arena
            ? arena.applied(plain, { owners: owners!, places: places!, scales: scales! })
            : plain;
          const states = architecture.body(runtime, ids, prefix > 0 ? { ...own, prefix } : own);
          const hidden = architecture.finalNorm(plain, read && !early ? takeRows(states, read) : states);
          return { scores: architecture.logits?.(plain, hidden) ?? hidden };
        }),
    );
  });

  return (sequences) => {
    const count = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
    const tokens = varies ? most : lengths.find((length) => length >= count)!;
    const size = varies ? count : tokens;
    const ints = () => new Int32Array(size);
    const feeds = { ids: ints(), positions: ints(), segments: ints() };
    const owners = ints().fill(-1);
    const spans = new Int32Array(MAX_SEQUENCES * 4);
    const read = new Int32Array(MAX_SEQUENCES);
    const updates = sequences.map((sequence) => sequence.updates);
    const adapters = arena?.feeds(updates, MAX_SEQUENCES);
    let start = 0;
    for (const [i, { ids, first = 0 }] of sequences.entries()) {
      const end = start + ids.length;
      feeds.ids.set(ids, start);
      for (let at = start; at < end; at++) feeds.positions[at] = prefix + at - start;
      feeds.segments.fill(i + 1, start, end);
      if (adapters) owners.fill(adapters.owners[i]!, start, end);
      spans.set([start, end, 0, 0], 4 * i);
      read[i] = rows === 'last' ? end - 1 : start + first;
      start = end;
    }
    const { scores } = program.run(scoreOn(tokens), {
      ...feeds,
      spans,
      read: rows === 'all' ? undefined : read,
      owners: arena ? owners : undefined,
      places: adapters?.places,
      scales: adapters?.scales,
    });
    const width = scores.shape[1]!;
    const values = scores.data as Float32Array;
    let row = 0;
    return sequences.map(({ ids }) => {
      const own = rows === 'all' ? ids.length : 1;
      row += own;
      return values.slice((row - own) * width, row * width);
    });
  };
}

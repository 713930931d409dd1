import { tf } from '@graft/tf-graph';
import { adapterTensors } from '../peft-model/peft-model.ts';
import { activeIn } from './activation/activation.ts';
import { BLOCK, RESERVED } from './block-pool.ts';
import { cacheFunctions, PADDING } from './cache-functions.ts';
import { gridAttention } from './cached-attention.ts';
import { gridRecurrence, STATES } from './states/recurrent-states.ts';
import {
  concatRows,
  type FunctionParts,
  type ModelFunctions,
  noAttention,
  type Piece,
  readsLengths,
  rowOf,
  rowsOf,
  traceForServing,
} from './step.ts';

/** Numbers of tokens of one prompt that a run can compute. */
const STRIDES = [16, 64, 256] as const;

const ZEROS = RESERVED.zeros * BLOCK;

/**
 * A step as grids of fixed sizes, for models that only TensorFlow's own operations support: a token of each of `rows` sequences, padded if
 * there are fewer, or a part of one prompt. Sizes do not depend on other sequences, so answers do not, either.
 */
export function gridFunctions(parts: FunctionParts): ModelFunctions {
  const { builder, program, name, model, caches, states, limits } = parts;
  const { architecture } = model;
  const { rows, context } = limits;
  const { activates } = model.attachment ?? {};
  // The cost of attention is proportional to the window, so short sequences get a short one.
  const windows = [...new Set([256, 1024].filter((w) => w < context).concat(context))];
  const windowFor = (positions: number) => windows.find((w) => w >= positions)!;
  const ints = (...shape: number[]) => ({ shape, dtype: 'int32' }) as const;
  const encoded = architecture.encoder !== undefined;
  const { recurrence } = architecture;

  const extendOn = builder.onDemand(
    program,
    (sequences: number, stride: number, window: number, input: number) => {
      const perToken = ints(sequences * stride);
      const lengths = readsLengths(architecture, limits) ? { reached: perToken } : {};
      const memory = encoded ? { memory: ints(sequences, input), lengths: ints(sequences) } : {};
      const placed = recurrence
        ? { from: ints(sequences), to: ints(sequences), counts: ints(sequences) }
        : {};
      return builder.function(
        `${name}/extend_${sequences}_${stride}_${window}_${input}`,
        {
          ids: perToken,
          positions: perToken,
          rows: perToken,
          tables: ints(sequences, window),
          ...lengths,
          ...(activates ? { active: perToken } : {}),
          ...memory,
          ...placed,
        },
        (given) =>
          traceForServing(limits, () => {
            const { ids, positions, reached, active, rows, tables, memory, lengths, from, to, counts } =
              given;
            const read = memory && lengths ? { tables: memory, lengths } : null;
            const attend = gridAttention(caches, { sequences, positions, rows, tables, memory: read });
            const recur =
              recurrence &&
              gridRecurrence(states, recurrence, { sequences, from: from!, to: to!, counts: counts! });
            const runtime = model.runtime({
              parameters: adapterTensors(model),
              attend,
              ...(recur && { recur }),
              ...(active && { active }),
            });
            const grid = {
              rows: sequences,
              tokens: stride,
              positions,
              cached: window,
              ...(reached ? { reached } : {}),
            };
            // The decoder's attention reads the memory's keys and values from the cache, and ignores those passed here.
            const nothing = tf.zeros([1, 1]);
            const kept = read ? { keysAndValues: () => ({ k: nothing, v: nothing }) } : undefined;
            return { hidden: architecture.body(runtime, ids, grid, kept) };
          }),
      );
    },
  );
  const head = builder.onDemand(program, () => {
    const hidden = { shape: [rows, architecture.hiddenSize], dtype: 'float32' } as const;
    return builder.function(`${name}/head`, { hidden }, ({ hidden }) =>
      traceForServing(limits, () => {
        const runtime = model.runtime({ parameters: adapterTensors(model), attend: noAttention });
        return { logits: architecture.logits!(runtime, architecture.finalNorm(runtime, hidden)) };
      }),
    );
  });
  /** Runs `pieces` of at most `stride` tokens on a grid of `sequences`. */
  function run(pieces: readonly Piece[], sequences: number, stride: number): Float32Array[] {
    const window = windowFor(Math.max(...pieces.map(({ start, ids }) => start + ids.length)));
    const input = encoded ? windowFor(Math.max(...pieces.map((piece) => piece.input!.length))) : 0;
    const perToken = () => new Int32Array(sequences * stride);
    const feeds = { ids: perToken(), positions: perToken(), rows: perToken().fill(PADDING) };
    const tables = new Int32Array(sequences * window).fill(ZEROS);
    const memory = new Int32Array(sequences * input).fill(ZEROS);
    const lengths = new Int32Array(sequences);
    const from = new Int32Array(sequences).fill(STATES.zeros);
    const to = new Int32Array(sequences).fill(STATES.padding);
    const counts = new Int32Array(sequences).fill(1);
    const reached = perToken();
    const active = perToken();
    for (const [i, piece] of pieces.entries()) {
      const { ids, start, length, blocks, input: read, state } = piece;
      active.set(activeIn(piece).map(Number), i * stride);
      feeds.ids.set(ids, i * stride);
      reached.fill(length, i * stride, (i + 1) * stride);
      feeds.positions.set(
        ids.map((_, n) => start + n),
        i * stride,
      );
      feeds.rows.set(rowsOf(blocks, ids.length, start), i * stride);
      tables.set(rowsOf(blocks, start + ids.length), i * window);
      if (read) memory.set(rowsOf(read.blocks, read.length), i * input);
      lengths[i] = read?.length ?? 0;
      if (!state) continue;
      from[i] = state.from;
      to[i] = state.to;
      counts[i] = ids.length;
    }
    const { hidden } = program.run(extendOn(sequences, stride, window, input), {
      ...feeds,
      tables,
      ...(readsLengths(architecture, limits) ? { reached } : {}),
      ...(activates ? { active } : {}),
      ...(encoded ? { memory, lengths } : {}),
      ...(recurrence ? { from, to, counts } : {}),
    });
    return pieces.map(({ ids }, i) => rowOf(hidden, i * stride + ids.length - 1));
  }

  /** Computes one piece in as many runs as it needs. */
  function read({ ids, start, state, ...piece }: Piece): Float32Array {
    let hidden: Float32Array | undefined;
    for (let taken = 0; taken < ids.length; ) {
      const stride = STRIDES.find((each) => each >= ids.length - taken) ?? STRIDES.at(-1)!;
      const part = ids.slice(taken, taken + stride);
      // The parts after the first read what the one before has written.
      const places = state && taken > 0 ? { from: state.to, to: state.to } : state;
      [hidden] = run([{ ...piece, ids: part, start: start + taken, state: places }], 1, stride);
      taken += part.length;
    }
    return hidden!;
  }

  return {
    compute(pieces) {
      // Grouped by size, so that other pieces do not affect the size of a piece's grid.
      const alike = new Map<string, Piece[]>();
      for (const piece of pieces.filter(({ ids }) => ids.length === 1)) {
        const key = `${windowFor(piece.start + 1)} ${piece.input && windowFor(piece.input.length)}`;
        alike.set(key, [...(alike.get(key) ?? []), piece]);
      }
      const results = new Map<Piece, Float32Array>();
      for (const group of alike.values())
        for (const [i, hidden] of run(group, rows, 1).entries()) results.set(group[i]!, hidden);
      return pieces.map((piece) => results.get(piece) ?? read(piece));
    },
    logits(hidden) {
      const { logits } = program.run(head(), { hidden: concatRows(hidden, rows) });
      return hidden.map((_, i) => rowOf(logits, i));
    },
    ...cacheFunctions(parts, windowFor),
  };
}
